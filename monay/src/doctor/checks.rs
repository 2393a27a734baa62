//! The table of checks: each a small function from what was read to what it means.

use super::facts::{Database, Facts, Known, NodeFacts, PATIENCE, Signer, section};
use super::{Check, Finding, Severity};
use alloy_primitives::U256;
use keeper::Duty;
use store::diagnosis::{First, Held, Named, Nonces, NotUpToDate, Quarantined, Stuck, StuckIntent, Unmined};

/// Gas that a settlement on its own takes at most; in batches it is a fraction of it.
const GAS_PER_SETTLEMENT: u64 = 250_000;

/// A key that cannot pay for so many settlements needs coin now.
const MIN_SETTLEMENTS: u64 = 100;

/// A mirror that is further behind its node lags.
const MAX_LAG_BLOCKS: u64 = 30;
const MAX_LAG_SECONDS: u64 = 60;

/// On Base a block is final after some twenty minutes.
const MAX_FINALITY_SECONDS: u64 = 60 * 60;

/// Clocks of machines that are kept right differ by less.
const MAX_SKEW_SECONDS: u64 = 5;

/// A chain's newest block is not much older or newer than our clock.
const MAX_CHAIN_SKEW_SECONDS: u64 = 60;

use Finding::{Ok as Fine, Unknown, Wrong};
use Severity::{Attention, Critical, Degraded};

pub(super) const CHECKS: &[Check] = &[
    Check {
        name: "keys",
        severity: Critical,
        advice: "set the key files in the configuration; `monay keygen FILE` makes one; `chmod 600 FILE` hides one from others",
        look: keys,
    },
    Check {
        name: "vault",
        severity: Critical,
        advice: "put the root key file back from its backup: without it no refund key can be opened",
        look: vault,
    },
    Check {
        name: "database",
        severity: Critical,
        advice: "start Postgres, and see that `database_url` names it; the services go on by themselves when it is back",
        look: database,
    },
    Check {
        name: "schema",
        severity: Critical,
        advice: "run `monay migrate` with this version of the program, or run the version the schema belongs to",
        look: schema,
    },
    Check {
        name: "node",
        severity: Critical,
        advice: "see that `rpc_url` names a node of the configured chain, that it runs, and that its key is good",
        look: node,
    },
    Check {
        name: "chain",
        severity: Critical,
        advice: "this node is not on the chain that the database mirrors: check `rpc_url`; a new chain needs a new database",
        look: chain,
    },
    Check {
        name: "contracts",
        severity: Critical,
        advice: "check `escrow`, `gate` and `token` in the configuration: invoices would be issued that nobody can settle",
        look: contracts,
    },
    Check {
        name: "roles",
        severity: Critical,
        advice: "whoever governs the gate has to grant these keys their role: SETTLER settles, CANCELLER cancels",
        look: roles,
    },
    Check {
        name: "coin",
        severity: Critical,
        advice: "send some of the chain's coin to these accounts: they pay the gas; what waits is done by itself then",
        look: coin,
    },
    Check {
        name: "mirror",
        severity: Critical,
        advice: "start the indexer; if it runs, its log says why it makes no progress",
        look: mirror,
    },
    Check {
        name: "finality",
        severity: Degraded,
        advice: "the chain, or this node of it, does not finalize: compare with another node; nothing is lost meanwhile",
        look: finality,
    },
    Check {
        name: "leases",
        severity: Degraded,
        advice: "start the service that has this key; one that runs takes the lease within seconds, or its log says why it cannot",
        look: leases,
    },
    Check {
        name: "quarantine",
        severity: Degraded,
        advice: "look their transactions up on another node: if this one was wrong, stop the indexer, set `rpc_url` to a node \
                 that is right and run `monay rebuild`; else this version of the program does not understand them: update it, \
                 then run `monay rebuild`",
        look: quarantine,
    },
    Check {
        name: "stuck",
        severity: Degraded,
        advice: "the error says which row is wrong: `monay rebuild --check` shows whether it follows from the chain, `monay \
                 rebuild` repairs what does; they are tried again by themselves every minute",
        look: not_up_to_date,
    },
    Check {
        name: "waiting",
        severity: Degraded,
        advice: "start the keeper and the coordinator; if they run, their logs say why they make no progress",
        look: |facts| intents(facts, |stuck| &stuck.waiting, "waits to be signed"),
    },
    Check {
        name: "in flight",
        severity: Degraded,
        advice: "look for their transactions on the chain; they are offered again until a block has them",
        look: |facts| intents(facts, |stuck| &stuck.in_flight, "is on its way for too long"),
    },
    Check {
        name: "failed",
        severity: Degraded,
        advice: "find out why they had no effect, then `monay retry INTENT` puts them back to work",
        look: |facts| intents(facts, |stuck| &stuck.failed, "was given up"),
    },
    Check {
        name: "put off",
        severity: Attention,
        advice: "they would revert and cost nothing; the reason stands beside each (a paused token, a blocked address, a role)",
        look: |facts| intents(facts, |stuck| &stuck.deferred, "was put off often"),
    },
    Check {
        name: "transactions",
        severity: Degraded,
        advice: "no block has them: the fee may be too low, or an earlier nonce is missing; see `nonces`",
        look: transactions,
    },
    Check {
        name: "nonces",
        severity: Degraded,
        advice: "use each key for one installation only; after a restore of Postgres start the keeper again, which counts anew",
        look: nonces,
    },
    Check {
        name: "overdue",
        severity: Degraded,
        advice: "start the coordinator: it looks at the time",
        look: |facts| invoices(facts, |stuck| &stuck.overdue, "its time came and nobody has looked"),
    },
    Check {
        name: "destruction",
        severity: Attention,
        advice: "see what lies at their addresses (`monay recover` with the terms) and what their intents say",
        look: |facts| invoices(facts, |stuck| &stuck.undestroyed, "its wallet is past its time and not destroyed"),
    },
    Check {
        name: "clocks",
        severity: Attention,
        advice: "keep the clocks of both machines right (NTP), and see that the node makes progress; money follows the chain's clock alone",
        look: clocks,
    },
];

fn found(wrong: Vec<String>, fine: impl FnOnce() -> String) -> Finding {
    if wrong.is_empty() { Fine(fine()) } else { Wrong(wrong) }
}

fn of_database(facts: &Facts) -> Result<&Database, Finding> {
    facts.database.as_ref().map_err(|_| Unknown("the database cannot be asked".to_owned()))
}

fn of_node(facts: &Facts) -> Result<&NodeFacts, Finding> {
    facts.node.as_ref().map_err(|_| Unknown("the node cannot be asked".to_owned()))
}

fn read<T>(known: &Known<T>) -> Result<&T, Finding> {
    known.as_ref().map_err(|why| Unknown(why.clone()))
}

/// A check that may stop early with what it could not know.
fn judged(judge: impl FnOnce() -> Result<Finding, Finding>) -> Finding {
    judge().unwrap_or_else(|finding| finding)
}

/// Signers whose keys could be read.
fn signers(facts: &Facts) -> impl Iterator<Item = (&'static str, Duty, &Signer)> {
    facts.signers.iter().filter_map(|(duty, signer)| Some((section(*duty), *duty, signer.as_ref().ok()?)))
}

fn keys(facts: &Facts) -> Finding {
    let wrong = facts.signers.iter().filter_map(|(duty, signer)| {
        let why = signer.as_ref().err()?;
        Some(format!("{}: {why}", section(*duty)))
    });
    found(wrong.collect(), || "keeper's and coordinator's key files are there and private".to_owned())
}

fn vault(facts: &Facts) -> Finding {
    found(facts.vault.as_ref().err().cloned().into_iter().collect(), || "the root key seals and opens".to_owned())
}

fn database(facts: &Facts) -> Finding {
    match &facts.database {
        Ok(_) => Fine("Postgres answers".to_owned()),
        Err(why) => Wrong(vec![format!("Postgres does not answer: {why}")]),
    }
}

fn schema(facts: &Facts) -> Finding {
    judged(|| {
        let migrations = &of_database(facts)?.migrations;
        let Ok((applied, ours)) = migrations else {
            return Ok(Wrong(vec!["the database has no schema of ours".to_owned()]));
        };
        let missing: Vec<_> = ours.iter().filter(|version| !applied.contains(version)).collect();
        let newer: Vec<_> = applied.iter().filter(|version| !ours.contains(version)).collect();
        let mut wrong = Vec::new();
        if !missing.is_empty() {
            wrong.push(format!("migrations are missing: {missing:?}"));
        }
        if !newer.is_empty() {
            wrong.push(format!("the database has migrations this program does not know: {newer:?}"));
        }
        Ok(found(wrong, || format!("up to date at migration {}", ours.last().unwrap_or(&0))))
    })
}

fn node(facts: &Facts) -> Finding {
    match &facts.node {
        Ok(node) => Fine(format!("chain {} answers, at block {}", facts.configured.id, node.tags.latest.number)),
        Err(why) => Wrong(vec![why.clone()]),
    }
}

fn chain(facts: &Facts) -> Finding {
    judged(|| {
        let node = of_node(facts)?;
        let mirror = match &of_database(facts)?.mirror {
            Ok(mirror) => mirror,
            Err(why) => return Ok(Wrong(vec![why.clone()])),
        };
        let expected = mirror.deployed.genesis_hash;
        let wrong = (node.genesis != expected).then(|| {
            format!(
                "the node's first block is {}, the database mirrors the chain that began with {expected}",
                node.genesis
            )
        });
        Ok(found(wrong.into_iter().collect(), || "the node has the chain that is mirrored".to_owned()))
    })
}

fn contracts(facts: &Facts) -> Finding {
    judged(|| {
        let (node, configured) = (of_node(facts)?, &facts.configured);
        let empty = node.code.iter().filter(|(.., there)| !there);
        let mut wrong: Vec<String> =
            empty.map(|(what, address, _)| format!("there is no contract at the {what}'s address {address}")).collect();
        match node.gate_escrow {
            Some(escrow) if escrow == configured.escrow => {}
            Some(escrow) => {
                wrong.push(format!("the gate {} settles at {escrow}, not at {}", configured.gate, configured.escrow))
            }
            None => wrong.push(format!("what is at the gate's address {} is no gate", configured.gate)),
        }
        if let Ok(Ok(mirror)) = facts.database.as_ref().map(|database| &database.mirror) {
            let deployed = &mirror.deployed;
            for (what, stored, given) in [
                ("escrow", deployed.escrow, configured.escrow.into()),
                ("gate", deployed.settler, configured.gate.into()),
                ("token", deployed.token, configured.token.into()),
            ] {
                if stored != given {
                    wrong.push(format!("the {what} is {stored} in the database and {given} in the configuration"));
                }
            }
        }
        Ok(found(wrong, || "escrow, gate and token are there and belong together".to_owned()))
    })
}

fn roles(facts: &Facts) -> Finding {
    judged(|| {
        of_node(facts)?;
        let mut wrong = Vec::new();
        for (service, duty, signer) in signers(facts) {
            // Where it cannot be asked there is no gate, and `contracts` says so.
            if !*read(&signer.has_role)? {
                let verb = if duty == Duty::Settle { "settle" } else { "cancel" };
                wrong.push(format!("the {service}'s key {} may not {verb} at the gate", signer.account));
            }
        }
        Ok(found(wrong, || "the gate knows keeper and coordinator".to_owned()))
    })
}

fn coin(facts: &Facts) -> Finding {
    judged(|| {
        let node = of_node(facts)?;
        let price = U256::from(node.fees.max.max(1)).saturating_mul(U256::from(GAS_PER_SETTLEMENT));
        let (mut wrong, mut enough) = (Vec::new(), Vec::new());
        for (service, _, signer) in signers(facts) {
            let balance = read(&signer.balance)?;
            let settlements = balance.checked_div(price).unwrap_or_default();
            let told = format!(
                "the {service}'s account {} has {balance} wei: gas for about {settlements} settlements",
                signer.account
            );
            if settlements < U256::from(MIN_SETTLEMENTS) {
                wrong.push(told);
            } else {
                enough.push(format!("{service}: about {settlements} settlements"));
            }
        }
        Ok(found(wrong, || enough.join(", ")))
    })
}

fn mirror(facts: &Facts) -> Finding {
    judged(|| {
        let (node, mirror) = (of_node(facts)?, read(&of_database(facts)?.mirror)?);
        let latest = node.tags.latest;
        let blocks = latest.number.saturating_sub(mirror.heights.seen);
        let seconds = latest.timestamp.saturating_sub(mirror.tip_timestamp);
        let told = format!("the mirror is {blocks} blocks and {seconds} s behind the node");
        // A quiet chain has few blocks: one of them may be minutes of time.
        let behind = blocks > MAX_LAG_BLOCKS || (blocks > 1 && seconds > MAX_LAG_SECONDS);
        Ok(if behind { Wrong(vec![told]) } else { Fine(told) })
    })
}

fn finality(facts: &Facts) -> Finding {
    judged(|| {
        let node = of_node(facts)?;
        let age = node.tags.latest.timestamp.saturating_sub(node.final_timestamp);
        let told = format!("the finalized block is {age} s older than the newest");
        Ok(if age > MAX_FINALITY_SECONDS { Wrong(vec![told]) } else { Fine(told) })
    })
}

fn stuck(facts: &Facts) -> Result<&Stuck, Finding> {
    read(&of_database(facts)?.stuck)
}

fn and_more<T>(first: &First<T>, tell: impl Fn(&T) -> String) -> Vec<String> {
    let mut told: Vec<String> = first.named.iter().map(tell).collect();
    let named = u64::try_from(told.len()).unwrap_or(u64::MAX);
    if first.total > named {
        told.push(format!("and {} more", first.total - named));
    }
    told
}

fn intents(facts: &Facts, which: fn(&Stuck) -> &First<StuckIntent>, what: &str) -> Finding {
    judged(|| {
        let told = and_more(which(stuck(facts)?), |intent| {
            let invoice = &intent.invoice;
            let why = intent.error.as_deref().unwrap_or("no reason noted");
            format!(
                "{} of {} ({}) {what}, {} s, put off {} times, {}: {why} (intent {})",
                intent.kind, invoice.number, invoice.id, invoice.age, intent.deferrals, intent.state, intent.id
            )
        });
        Ok(found(told, || "none".to_owned()))
    })
}

fn invoices(facts: &Facts, which: fn(&Stuck) -> &First<Named>, what: &str) -> Finding {
    judged(|| {
        let told =
            and_more(which(stuck(facts)?), |named| format!("{} ({}): {what}, {} s", named.number, named.id, named.age));
        Ok(found(told, || "none".to_owned()))
    })
}

fn transactions(facts: &Facts) -> Finding {
    judged(|| {
        let told = and_more(&stuck(facts)?.unmined, |tx: &Unmined| {
            let why = tx.error.as_deref().unwrap_or("the node has it");
            format!("{} with nonce {} is in no block after {} s, {}: {why}", tx.hash, tx.nonce, tx.age, tx.state)
        });
        Ok(found(told, || format!("none without a block for {} s", PATIENCE.in_flight.as_secs())))
    })
}

/// Postgres's count of nonces against the chain's.
fn nonces(facts: &Facts) -> Finding {
    judged(|| {
        of_node(facts)?;
        of_database(facts)?;
        let mut wrong = Vec::new();
        for (service, _, signer) in signers(facts) {
            let (chain, stored) = (*read(&signer.nonce)?, read(&signer.nonces)?);
            let account = signer.account;
            match stored {
                None => wrong.push(format!("the {service} has never run with the key of {account} on this database")),
                Some(Nonces { next, .. }) if *next < chain => wrong.push(format!(
                    "the {service}'s key {account} has sent {chain} transactions, Postgres knows of {next}: somebody else \
                     uses it, or an older database was restored"
                )),
                Some(Nonces { next, held }) if next - chain > *held => wrong.push(format!(
                    "the {service}'s key {account} has a gap: nonces {chain} to {next} were given out and {held} of them are \
                     signed; later ones cannot be mined"
                )),
                Some(_) => {}
            }
        }
        Ok(found(wrong, || "Postgres and chain agree".to_owned()))
    })
}

/// Nothing of a duty is signed while nobody has a key of it.
fn leases(facts: &Facts) -> Finding {
    judged(|| {
        of_database(facts)?;
        let mut wrong = Vec::new();
        for (service, _, signer) in signers(facts) {
            let Held { held, waiting } = *read(&signer.held)?;
            if !held && waiting > 0 {
                wrong.push(format!(
                    "nobody holds the lease of the {service}'s key {}, and {waiting} of its intents wait",
                    signer.account
                ));
            }
        }
        Ok(found(wrong, || "every key that has something to do is held by a process".to_owned()))
    })
}

fn quarantine(facts: &Facts) -> Finding {
    judged(|| {
        let stuck = stuck(facts)?;
        let told = and_more(&stuck.quarantined, |log: &Quarantined| {
            let index = log.index.as_deref().unwrap_or("?");
            let tx = log.tx.map_or_else(|| "an unknown transaction".to_owned(), |tx| tx.to_string());
            let whose = log.number.as_deref().map_or_else(String::new, |number| format!(" to the address of {number}"));
            format!(
                "log {index} of block {} ({tx}), from {}{whose}, is not booked: {}",
                log.block, log.address, log.reason
            )
        });
        let foreign = stuck.quarantined_foreign;
        Ok(found(told, || {
            format!("no log of the escrow or of an invoice's token; of other tokens, which anyone can make: {foreign}")
        }))
    })
}

fn not_up_to_date(facts: &Facts) -> Finding {
    judged(|| {
        let told = and_more(&stuck(facts)?.not_up_to_date, |stuck: &NotUpToDate| {
            let NotUpToDate { invoice, error, tries } = stuck;
            format!(
                "{} ({}) could not be brought up to date for {} s, tried {tries} times: {error}",
                invoice.number, invoice.id, invoice.age
            )
        });
        Ok(found(told, || "none".to_owned()))
    })
}

fn clocks(facts: &Facts) -> Finding {
    judged(|| {
        let machine = facts.machine_now.unix_timestamp();
        let mut wrong = Vec::new();
        let postgres = of_database(facts)?.clock.unix_timestamp();
        if machine.abs_diff(postgres) > MAX_SKEW_SECONDS {
            wrong.push(format!("this machine's clock and Postgres's differ by {} s", machine.abs_diff(postgres)));
        }
        let newest = i64::try_from(of_node(facts)?.tags.latest.timestamp).unwrap_or(i64::MAX);
        let skew = machine.abs_diff(newest);
        if skew > MAX_CHAIN_SKEW_SECONDS {
            let side = if newest > machine { "ahead of" } else { "behind" };
            wrong.push(format!("the chain's newest block is {skew} s {side} this machine's clock"));
        }
        Ok(found(wrong, || format!("this machine, Postgres and the chain are within {skew} s")))
    })
}
