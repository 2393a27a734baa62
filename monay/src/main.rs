//! `monay`: one binary for the services, the local networks and the demo.

use clap::{Parser, Subcommand};
use monay::services::{self, Service};
use monay::{Error, config::Config, demo, doctor, rebuild, recover, repair, setup};
use std::path::PathBuf;
use std::process::ExitCode;

/// No money moves without an invoice, and the wallet that holds the money exists only for that invoice.
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = "Start here: `monay demo` plays the whole story on this machine."
)]
struct Cli {
    /// The configuration file. Keys can also be set as MONAY__SECTION__KEY in the environment.
    #[arg(long, short, global = true, env = "MONAY_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play the demo: an electricity bill, from invoice to destroyed wallet, on local networks.
    Demo(demo::Args),
    /// Start the local networks with the contracts deployed, and leave them running: Postgres, Anvil, a configuration.
    Devnet(demo::DevnetArgs),
    /// Serve the HTTP API and the pay page.
    Api(ServiceArgs),
    /// Mirror the chain into Postgres.
    Indexer(ServiceArgs),
    /// Carry out what is due: settle and refund.
    Keeper(ServiceArgs),
    /// Look at the time: end what has run out of it. Its key is not the keeper's.
    Coordinator(ServiceArgs),
    /// Say that money came in: sign for deposits that the books and the provider's statement both show.
    ///
    /// Each attestor is a process of its own, with a key, a log and a statement that no other has (section [attestor]).
    #[command(verbatim_doc_comment)]
    Attestor(ServiceArgs),
    /// Stand between banks and the books: collect payments, read statements, clear, have mints ordered, book what is final.
    Treasury(ServiceArgs),
    /// Bring the schema up to date and make the configured chain known. Safe to run again.
    Migrate,
    /// Read the chain anew and compare: is the mirror in Postgres what the blocks say?
    ///
    /// Takes away everything that was read from blocks, reads it again from the first mirrored block to the last, and
    /// prints for each table its rows and digests before and after. A difference is repaired, unless --check is given.
    ///
    /// It is one transaction: interrupted or killed, it leaves everything as it was. While it runs, the indexer and
    /// whatever concerns invoices that have payments wait for it; on a long chain, stop the services first, or run it on a
    /// copy of the database. The node must have all blocks from the first that is mirrored.
    ///
    /// History (wallet_lifecycle_events, outbox) and signed transactions are never touched. Not compared, because the chain
    /// does not say it: statuses, which depend on the time they were last looked at, and when rows were written.
    #[command(verbatim_doc_comment)]
    Rebuild(rebuild::RebuildArgs),
    /// Set up a tenant and print a new API key for it, once.
    Tenant(setup::TenantArgs),
    /// Look after a tenant's API keys.
    #[command(subcommand)]
    Key(setup::KeyCommand),
    /// Say what is missing, what lags and what is stuck, and what to do about each.
    Doctor(doctor::Args),
    /// Put intents that were given up back to work.
    Retry(repair::Args),
    /// Bring an invoice's money to where it belongs, with nothing but its terms and a node.
    Recover(recover::Args),
    /// Print the schema of the live database as Markdown: `docs/SCHEMA.md`.
    Schema,
    /// Write a new key to a file that only you can read: the vault's root key, or the keeper's.
    Keygen {
        /// Where to.
        file: PathBuf,
    },
    /// Check the configuration.
    #[command(after_long_help = services::CONFIG_HELP)]
    Config {
        /// Print what is in force, without secrets.
        #[arg(long)]
        print: bool,
    },
}

#[derive(Debug, clap::Args)]
struct ServiceArgs {
    /// Only this chain, by its name in the configuration (`base`, `tempo`, `solana`); all of them if it is not given. Then a node that is
    /// away when the service starts keeps it from starting for all.
    #[arg(long)]
    chain: Option<String>,
    /// Stop when standard input ends: for a child that must not outlive its parent.
    #[arg(long, hide = true)]
    with_parent: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("monay: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(run(cli));
    // A read of standard input cannot be cancelled; nothing else is left to wait for.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => code,
        Err(Error::Interrupted) => ExitCode::from(130),
        Err(Error::Recovery { stopped, why }) => {
            eprintln!("monay: {why}");
            ExitCode::from(stopped.exit_code())
        }
        Err(error) => {
            eprintln!("monay: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode, Error> {
    let load = || Config::load(cli.config.as_deref(), std::env::vars());
    let done: Result<(), Error> = match cli.command {
        Command::Demo(args) => demo::run(args).await,
        Command::Devnet(args) => demo::devnet(args).await,
        Command::Api(args) => service(Service::Api, &load()?, &args).await,
        Command::Indexer(args) => service(Service::Indexer, &load()?, &args).await,
        Command::Keeper(args) => service(Service::Keeper, &load()?, &args).await,
        Command::Coordinator(args) => service(Service::Coordinator, &load()?, &args).await,
        Command::Treasury(args) => service(Service::Treasury, &load()?, &args).await,
        Command::Attestor(args) => service(Service::Attestor, &load()?, &args).await,
        Command::Migrate => setup::migrate(&load()?).await,
        Command::Rebuild(args) => rebuild::run(&load()?, args).await,
        Command::Tenant(args) => {
            println!("{}", setup::tenant(&load()?, &args).await?);
            Ok(())
        }
        Command::Key(command) => {
            println!("{}", setup::key(&load()?, &command).await?);
            Ok(())
        }
        // The only command whose answer is its exit code.
        Command::Doctor(args) => return Ok(doctor::run(load(), &args).await),
        Command::Retry(args) => {
            println!("{}", repair::retry(&load()?, &args).await?.trim_end());
            Ok(())
        }
        Command::Recover(args) => recover::run(args).await,
        Command::Schema => {
            print!("{}", setup::schema(&load()?).await?);
            Ok(())
        }
        Command::Keygen { file } => {
            vault::RootKey::create(&file)?;
            eprintln!("wrote a new key to {}", file.display());
            Ok(())
        }
        Command::Config { print } => {
            let config = load()?;
            if print {
                println!("{}", config.printed()?.trim_end());
            } else {
                eprintln!("the configuration is good");
            }
            Ok(())
        }
    };
    done.map(|()| ExitCode::SUCCESS)
}

async fn service(service: Service, config: &Config, args: &ServiceArgs) -> Result<(), Error> {
    services::log(config.log_format);
    services::run(service, config, args.chain.as_deref(), args.with_parent).await
}
