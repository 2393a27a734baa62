//! Dollars: a sandbox of the gateway and of the bank behind it, our bank account and own capital in the books.

use crate::Error;
use crate::config::Config;
use crate::setup;
use domain::ledger::{Entry, EntryKind, Key, Names, Part, Phase};
use domain::money::Units;
use std::path::Path;
use store::Store;
use test_chain::sandbox::tilli::{self, Tilli};

/// Our bank account.
pub const BANK: &str = "main";

/// What the owners have put in: 100,000 dollars.
const CAPITAL: Units = Units(100_000_000_000);

/// What of it is set aside for what goes wrong: 10,000 dollars.
const LOSS_RESERVE: Units = Units(10_000_000_000);

/// The gateway and the bank behind it.
pub struct FiatNet {
    /// Its sandbox.
    pub gateway: Tilli,
}

impl std::fmt::Debug for FiatNet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FiatNet").field("url", &self.gateway.url()).finish_non_exhaustive()
    }
}

impl FiatNet {
    /// Starts it, writes what services have to know of it to a file, and opens the books.
    pub(super) async fn start(directory: &Path, config: &mut Config) -> Result<Self, Error> {
        let gateway = Tilli::start(tilli::Config::default()).await?;
        let file = directory.join("sources.toml");
        setup::write_secret(&file, &sources(&gateway)?)?;
        config.treasury.sources_file = Some(file.clone());
        config.attestor.sources_file = Some(file);
        (config.treasury.poll_ms, config.treasury.ask_ms, config.treasury.read_ms) = (100, 300, 300);
        config.treasury.resend_ms = 3_000;
        let store = Store::connect(&config.database_url, 2).await?;
        let mut tx = store.begin().await?;
        store::banks::put(&mut tx, BANK, "Operating account", Some("0001"), true).await?;
        for (kind, amount) in [(EntryKind::CapitalPaidIn, CAPITAL), (EntryKind::LossReserveFunded, LOSS_RESERVE)] {
            let key = Key { source: "opening".to_owned(), reference: kind.to_string(), kind };
            let names = Names { bank: Some(BANK.to_owned()), ..Names::default() };
            let entry = Entry::new(key, Phase::Single, &names, &[(Part::Amount, amount)]);
            let entry = entry.map_err(|error| Error::Config(format!("the books cannot be opened: {error}")))?;
            store::ledger::book(&mut tx, &entry).await?;
        }
        tx.commit().await.map_err(store::Error::from)?;
        store.close().await;
        Ok(Self { gateway })
    }
}

/// The file: the gateway's profile, and where reports and statements are.
fn sources(gateway: &Tilli) -> Result<String, Error> {
    let wrong = |error: String| Error::Config(format!("the sandbox's profile: {error}"));
    let parse = |text: &str| text.parse::<toml::Table>().map_err(|error| wrong(error.to_string()));
    let statement = |source: &str, kind: &str, file: &str, format: &str| {
        Ok::<_, Error>(toml::Table::from_iter([
            ("source".to_owned(), source.into()),
            ("kind".to_owned(), kind.into()),
            ("url".to_owned(), format!("{}/__sim/reports/{file}", gateway.url()).into()),
            ("format".to_owned(), parse(format)?.into()),
        ]))
    };
    let statements = vec![
        toml::Value::from(statement("tilli", "settlement", "settlement.csv", gateway.settlement_toml())?),
        toml::Value::from(statement(BANK, "bank", "bank.csv", gateway.bank_toml())?),
    ];
    let table = toml::Table::from_iter([
        ("bank".to_owned(), BANK.into()),
        ("gateway".to_owned(), parse(&gateway.client_toml())?.into()),
        ("statements".to_owned(), statements.into()),
    ]);
    toml::to_string(&table).map_err(|error| wrong(error.to_string()))
}
