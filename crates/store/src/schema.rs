//! The schema as the live database has it, written down as Markdown: `docs/SCHEMA.md` is this, and a test says so.

use crate::{Error, PgConnection, statements};
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::fmt;

statements! {
    DOMAINS = r#"SELECT t.typname::text COLLATE "C" AS name, format_type(t.typbasetype, t.typtypmod) AS type,
            obj_description(t.oid, 'pg_type') AS comment,
            COALESCE((SELECT string_agg(pg_get_constraintdef(c.oid), ' ' ORDER BY c.conname) FROM pg_constraint c
                WHERE c.contypid = t.oid AND c.contype = 'c'), '') AS checks
        FROM pg_type t WHERE t.typtype = 'd' AND t.typnamespace = 'public'::regnamespace ORDER BY 1"#;
    // Partitions are their parent's, and what the migrator keeps is nobody's business.
    TABLES = r#"SELECT r.oid::bigint AS id, r.relname::text COLLATE "C" AS name, obj_description(r.oid, 'pg_class') AS comment
        FROM pg_class r WHERE r.relkind IN ('r', 'p') AND NOT r.relispartition AND r.relnamespace = 'public'::regnamespace
        AND r.relname <> '_sqlx_migrations' ORDER BY 2"#;
    COLUMNS = "SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable,
            pg_get_expr(d.adbin, d.adrelid) AS expression, a.attgenerated::text <> '' AS generated,
            a.attidentity::text <> '' AS identity, col_description(a.attrelid, a.attnum) AS comment
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
    // 'n': newer servers list NOT NULL here too; it stands in the columns.
    CONSTRAINTS = r#"SELECT pg_get_constraintdef(c.oid) AS definition FROM pg_constraint c WHERE c.conrelid = $1::bigint::oid
        AND c.contype IN ('p', 'u', 'f', 'c', 'x') ORDER BY position(c.contype::text IN 'pufcx'), c.conname::text COLLATE "C""#;
    INDEXES = r#"SELECT pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid
        WHERE i.indrelid = $1::bigint::oid AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid
            AND c.contype IN ('p', 'u', 'x')) ORDER BY r.relname::text COLLATE "C""#;
    TRIGGERS = r#"SELECT pg_get_triggerdef(t.oid) AS definition FROM pg_trigger t
        WHERE t.tgrelid = $1::bigint::oid AND NOT t.tgisinternal ORDER BY t.tgname::text COLLATE "C""#;
}

/// The tables that the specification names. All others are the machine's.
const SPECIFIED: &[&str] = &[
    "audit_log",
    "blockchain_transactions",
    "cards",
    "consumer_wallets",
    "customer_credits",
    "enterprises",
    "fiat_reserve",
    "invoice_terms",
    "invoice_wallet_history",
    "invoice_wallets",
    "invoices",
    "payment_requests",
    "payments",
    "quantum_key_registry",
    "reserve_accounts",
    "stablecoin_balances",
    "users",
    "wallet_lifecycle_events",
    "wallet_mode_decisions",
    "wallets",
    "withdrawals",
];

/// The schema.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Types of ours, with what they allow.
    pub domains: Vec<Domain>,
    /// Tables by name.
    pub tables: Vec<Table>,
}

/// A type with a rule.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Domain {
    pub name: String,
    pub base: String,
    pub checks: String,
    pub comment: Option<String>,
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub comment: Option<String>,
    /// In their order.
    pub columns: Vec<Column>,
    /// Keys, references and checks, as SQL.
    pub constraints: Vec<String>,
    /// Indexes beside those that the keys have, as SQL.
    pub indexes: Vec<String>,
    /// Triggers, as SQL.
    pub triggers: Vec<String>,
}

/// A column.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Column {
    pub name: String,
    pub kind: String,
    pub nullable: bool,
    /// `DEFAULT …`, `GENERATED …`, or nothing.
    pub value: String,
    pub comment: Option<String>,
}

/// Reads the schema.
pub async fn describe(db: &mut PgConnection) -> Result<Schema, Error> {
    let mut domains = Vec::new();
    for row in sqlx::query(DOMAINS).fetch_all(&mut *db).await? {
        domains.push(Domain {
            name: row.try_get("name")?,
            base: row.try_get("type")?,
            checks: row.try_get("checks")?,
            comment: row.try_get("comment")?,
        });
    }
    let mut tables = Vec::new();
    for row in sqlx::query(TABLES).fetch_all(&mut *db).await? {
        let id: i64 = row.try_get("id")?;
        let columns = sqlx::query(COLUMNS).bind(id).fetch_all(&mut *db).await?;
        tables.push(Table {
            name: row.try_get("name")?,
            comment: row.try_get("comment")?,
            columns: columns.iter().map(column).collect::<Result<_, _>>()?,
            constraints: definitions(db, CONSTRAINTS, id).await?,
            indexes: definitions(db, INDEXES, id).await?,
            triggers: definitions(db, TRIGGERS, id).await?,
        });
    }
    Ok(Schema { domains, tables })
}

fn column(row: &PgRow) -> Result<Column, Error> {
    let expression: Option<String> = row.try_get("expression")?;
    let value = match (row.try_get("generated")?, row.try_get("identity")?, expression) {
        (true, _, Some(expression)) => format!("generated: {expression}"),
        (_, true, _) => "generated: identity".to_owned(),
        (_, _, Some(expression)) => format!("default {expression}"),
        (_, _, None) => String::new(),
    };
    Ok(Column {
        name: row.try_get("name")?,
        kind: row.try_get("type")?,
        nullable: row.try_get("nullable")?,
        value,
        comment: row.try_get("comment")?,
    })
}

async fn definitions(db: &mut PgConnection, sql: &'static str, table: i64) -> Result<Vec<String>, Error> {
    let rows = sqlx::query(sql).bind(table).fetch_all(db).await?;
    rows.iter().map(|row| Ok(row.try_get::<String, _>("definition")?.replace("public.", ""))).collect()
}

impl Table {
    /// Whether the specification names it.
    pub fn is_specified(&self) -> bool {
        SPECIFIED.contains(&self.name.as_str())
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# The schema\n")?;
        writeln!(
            f,
            "Written by `monay schema` from a migrated database; a test compares the two. Comments are the tables' own."
        )?;
        writeln!(
            f,
            "Amounts are integers of base units in `*_units`; the specification's amount columns are generated from them.\n"
        )?;
        writeln!(f, "## Types\n\n| type | is | allows | |\n| --- | --- | --- | --- |")?;
        for domain in &self.domains {
            let comment = domain.comment.as_deref().unwrap_or_default();
            writeln!(f, "| `{}` | {} | `{}` | {} |", domain.name, domain.base, cell(&domain.checks), cell(comment))?;
        }
        for (heading, specified) in [("The specification's tables", true), ("The machine's tables", false)] {
            writeln!(f, "\n## {heading}")?;
            for table in self.tables.iter().filter(|table| table.is_specified() == specified) {
                write!(f, "\n{table}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### `{}`\n\n{}\n", self.name, self.comment.as_deref().unwrap_or("(no comment)"))?;
        writeln!(f, "| column | type | null | value | |\n| --- | --- | --- | --- | --- |")?;
        for column in &self.columns {
            let null = if column.nullable { "yes" } else { "" };
            let value = if column.value.is_empty() { String::new() } else { format!("`{}`", cell(&column.value)) };
            let comment = cell(column.comment.as_deref().unwrap_or_default());
            writeln!(f, "| `{}` | {} | {null} | {value} | {comment} |", column.name, column.kind)?;
        }
        if !(self.constraints.is_empty() && self.indexes.is_empty() && self.triggers.is_empty()) {
            writeln!(f)?;
        }
        for definition in self.constraints.iter().chain(&self.indexes).chain(&self.triggers) {
            writeln!(f, "- `{}`", definition.split_whitespace().collect::<Vec<_>>().join(" "))?;
        }
        Ok(())
    }
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
