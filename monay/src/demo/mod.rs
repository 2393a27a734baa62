//! The demo: the specification's electricity bill, on a whole installation on this machine.

mod batch;
mod customer;
mod direct;
mod exact;
mod expired;
mod gasless;
mod late;
mod overpaid;
mod report;
mod scene;
mod solana;
mod tempo;
mod trouble;
mod wrong_token;

use crate::Error;
use crate::services::Service;
use crate::stack::{Cast, Options, Stack, TENANT};
use alloy_primitives::{Address, B256};
use report::{Report, StoryReport};
use scene::Scene;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use test_chain::{Mining, Progress};
use trouble::Trouble;

/// The stories, in the order they are played. [`HELP`] says what they show.
const STORIES: &[&str] = &[
    "base-exact",
    "base-expired",
    "base-gasless",
    "base-overpaid",
    "base-late",
    "base-wrong-token",
    "base-batch",
    "base-direct",
    "solana-exact",
    "solana-expired",
    "solana-late",
    "both-rails",
    "tempo-exact",
];

/// What a story shows: its line of the help.
fn title(story: &str) -> &'static str {
    let lines = HELP.lines().filter_map(|line| line.trim().split_once(' '));
    lines.filter(|(name, _)| *name == story).map(|(_, title)| title.trim()).next().unwrap_or_default()
}

const HELP: &str = "Stories:
  base-exact         Jane pays her electricity bill on Base, to the cent; the wallet destroys itself
  base-expired       Jane pays too little and time runs out; her money comes back
  base-gasless       Jane has dollars and no gas; a signature is enough
  base-overpaid      Jane pays too much; the rest goes where she says
  base-late          Jane pays again after the wallet is gone; it comes back
  base-wrong-token   Jane sends another token; she gets it back and pays
  base-batch         fifty bills at once, one of them poisoned
  base-direct        Jane's wallet pays through the escrow itself
  solana-exact       Jane pays the same bill on Solana; vault and key are gone
  solana-expired     too little on Solana, and time runs out; her money comes back
  solana-late        Jane pays again on Solana after the wallet is gone; it comes back
  both-rails         Jane pays on Base and on Solana; one is settled, the other comes back in full
  tempo-exact        Jane pays the same bill on Tempo, in its own dollars, with a plain transfer

Examples:
  monay demo                          play all stories
  monay demo --story base-exact       play one
  monay demo --serve                  play, then leave everything running and print URLs and test keys
  monay demo --json | jq .stories     what was read back from the chain and from Postgres, as JSON
  monay demo --reorgs 10              the same stories, while the last 10 blocks are replaced again and again
  monay demo --kills                  the same stories, while every service is killed again and again

DATABASE_URL, if set, is a Postgres to make a fresh database in; else one is started.";

/// What to play.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Play this story only; may be given again.
    #[arg(long, value_name = "NAME")]
    story: Vec<String>,
    /// Leave everything running afterwards, until Ctrl-C, and print URLs and test keys.
    #[arg(long)]
    serve: bool,
    /// Print one JSON object on standard output; the story goes to standard error.
    #[arg(long)]
    json: bool,
    /// Play through re-orgs of so many blocks, three in each story, in which our own transactions are lost. Blocks come four a
    /// second then.
    #[arg(long, value_name = "BLOCKS", conflicts_with_all = ["kills", "rpc_url"], value_parser = clap::value_parser!(u64).range(1..=64))]
    reorgs: Option<u64>,
    /// Play through kills: each service is killed with SIGKILL and started again, twice in each story.
    #[arg(long)]
    kills: bool,
    #[command(flatten)]
    network: Network,
}

impl Args {
    fn trouble(&self) -> Trouble {
        match (self.reorgs, self.kills) {
            (Some(depth), _) => Trouble::Reorgs(depth),
            (None, true) => Trouble::Kills,
            (None, false) => Trouble::None,
        }
    }
}

/// What to start.
#[derive(Debug, clap::Args)]
pub struct DevnetArgs {
    /// Start the services too.
    #[arg(long)]
    services: bool,
    #[command(flatten)]
    network: Network,
}

/// What is there already, instead of what would be started.
#[derive(Debug, clap::Args)]
struct Network {
    /// A node that already runs (a development node: stories move its time).
    #[arg(long, value_name = "URL")]
    rpc_url: Option<String>,
    /// Chain id.
    #[arg(long, default_value_t = 8453)]
    chain_id: u64,
    /// An InvoiceEscrow that is already deployed.
    #[arg(long, value_name = "ADDRESS")]
    escrow: Option<Address>,
    /// A SettlementGate that is already deployed and knows the development keys.
    #[arg(long, value_name = "ADDRESS")]
    gate: Option<Address>,
    /// A token that is already deployed; the customer must have some.
    #[arg(long, value_name = "ADDRESS")]
    token: Option<Address>,
    /// Seconds between blocks.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=60))]
    block_time: u64,
    /// Port of the API; 0 lets the system choose.
    #[arg(long, default_value_t = 0)]
    api_port: u16,
}

impl Network {
    fn options(&self, progress: Progress) -> Options {
        Options {
            mining: Mining::Interval(Duration::from_secs(self.block_time)),
            epoch: 1,
            anvil: Vec::new(),
            chain_id: self.chain_id,
            rpc_url: self.rpc_url.clone(),
            escrow: self.escrow,
            gate: self.gate,
            token: self.token,
            mint: None,
            fiat: false,
            solana: true,
            tempo: true,
            database_url: std::env::var("DATABASE_URL").ok(),
            api_port: self.api_port,
            program: None,
            progress,
        }
    }
}

/// Plays the demo. Whatever happens, every child is stopped before this returns.
pub async fn run(args: Args) -> Result<(), Error> {
    for name in &args.story {
        if !STORIES.contains(&name.as_str()) {
            return Err(Error::Story(format!("there is no story '{name}': choose from {}", STORIES.join(", "))));
        }
    }
    let voice = Voice { quiet_stdout: args.json };
    let played = interruptible(play(&args, voice)).await?;
    if played { Ok(()) } else { Err(Error::Story("a story did not end as it must; see above".to_owned())) }
}

async fn play(args: &Args, voice: Voice) -> Result<bool, Error> {
    let began = Instant::now();
    let trouble = args.trouble();
    let stack = start(&args.network, trouble, voice).await?;
    stack.run_all().await?;
    voice.say(&format!("  everything runs after {:.1} s\n", seconds(began.elapsed())));
    let mut stories = Vec::new();
    let chosen = STORIES.iter().filter(|story| args.story.is_empty() || args.story.iter().any(|name| name == *story));
    for (at, story) in chosen.enumerate() {
        voice.say(&format!("━━ {story} ━━ {}\n", title(story)));
        let scene = Scene::new(&stack, voice, at == 0)?;
        let done = AtomicBool::new(false);
        let told = async {
            let told = tell(story, scene).await;
            done.store(true, Ordering::Relaxed);
            told
        };
        let (told, suffered) = tokio::join!(told, trouble.make(&stack, &done));
        let told = match (told, suffered) {
            (Ok(report), Ok(suffered)) => Ok(StoryReport { suffered, ..report }),
            (Err(error), _) | (_, Err(error)) => Err(error),
        };
        stories.push(match told {
            Ok(report) => report,
            Err(error) => {
                voice.say(&format!("  ✗ {error}\n"));
                StoryReport::failed(story, &error)
            }
        });
    }
    let report = Report::new(&stack, stories)?;
    voice.say(&report.table());
    if args.json {
        println!("{}", report.json()?);
    }
    if !report.ok {
        for service in Service::ALL {
            let log = std::fs::read_to_string(stack.log_file(service)).unwrap_or_default();
            let end: Vec<_> = log.lines().rev().take(15).collect();
            voice.say(&format!(
                "last lines of the {}:\n{}",
                service.name(),
                end.into_iter().rev().collect::<Vec<_>>().join("\n")
            ));
        }
    }
    if args.serve {
        serve(&stack, voice).await;
    }
    stack.stop().await;
    Ok(report.ok)
}

async fn tell(story: &str, scene: Scene<'_>) -> Result<StoryReport, Error> {
    match story {
        "base-exact" => exact::play(scene).await,
        "base-expired" => expired::play(scene).await,
        "base-gasless" => gasless::play(scene).await,
        "base-overpaid" => overpaid::play(scene).await,
        "base-late" => late::play(scene).await,
        "base-wrong-token" => wrong_token::play(scene).await,
        "base-batch" => batch::play(scene).await,
        "base-direct" => direct::play(scene).await,
        "solana-exact" => solana::exact(scene).await,
        "solana-expired" => solana::expired(scene).await,
        "solana-late" => solana::late(scene).await,
        "tempo-exact" => tempo::exact(scene).await,
        _ => solana::both(scene).await,
    }
}

/// Starts the networks, and the services if asked to, and leaves them running until Ctrl-C.
pub async fn devnet(args: DevnetArgs) -> Result<(), Error> {
    let voice = Voice { quiet_stdout: false };
    interruptible(async {
        let stack = start(&args.network, Trouble::None, voice).await?;
        if args.services {
            stack.run_all().await?;
        }
        serve(&stack, voice).await;
        stack.stop().await;
        Ok(())
    })
    .await
}

async fn start(network: &Network, trouble: Trouble, voice: Voice) -> Result<Stack, Error> {
    voice.say("Starting a whole installation on this machine");
    let progress = Progress::new(move |sentence| voice.say(&format!("  · {sentence}")));
    let options = network.options(progress);
    let options = match trouble {
        // Finality beyond the deepest re-org, and blocks quick enough that it comes in time.
        Trouble::Reorgs(depth) => {
            Options { mining: Mining::Interval(Duration::from_millis(250)), epoch: depth / 2 + 2, ..options }
        }
        Trouble::None | Trouble::Kills => options,
    };
    let stack = Stack::start(options).await?;
    voice.say(&format!("  · {} holds what we know; the chain is {}", stack.postgres_source(), stack.node.rpc_url()));
    Ok(stack)
}

/// Runs until done or until Ctrl-C; dropping what runs stops its children.
async fn interruptible<T>(what: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::file("signal handler"))?;
    tokio::select! {
        done = what => done,
        _ = tokio::signal::ctrl_c() => Err(Error::Interrupted),
        _ = terminate.recv() => Err(Error::Interrupted),
    }
}

async fn serve(stack: &Stack, voice: Voice) {
    let account = |who: usize| format!("{}  key {}", Cast::address(who), B256::to_string(&Cast::key(who)));
    let api = if stack.api_url().is_empty() { "(not started: --services)" } else { stack.api_url() };
    let mut lines = vec![
        ("API", api.to_owned()),
        ("API key", format!("{}  (tenant {TENANT})", stack.api_key)),
        ("Base RPC", stack.node.rpc_url()),
        ("Postgres", stack.config.database_url.clone()),
        ("configuration", stack.config_file().display().to_string()),
    ];
    if let Ok(chain) = stack.chain() {
        let contracts = [("escrow", chain.escrow), ("gate", chain.gate), ("token", chain.token)];
        lines.extend(contracts.map(|(name, address)| (name, address.to_string())));
    }
    if let Some(solana) = stack.solana() {
        let config = &solana.config;
        lines.push(("Solana RPC", config.rpc_url.clone()));
        lines.extend(config.ws_url.clone().map(|url| ("Solana WS", url)));
        let programs = [("escrow", config.program), ("gate", config.gate), ("mint", config.mint)];
        lines.extend(programs.map(|(name, address)| (name, format!("{address}  on Solana"))));
    }
    if let Some(tempo) = stack.tempo() {
        let config = &tempo.config;
        lines.push(("Tempo RPC", config.rpc_url.clone()));
        let contracts = [("escrow", config.escrow), ("gate", config.gate), ("token", config.token)];
        lines.extend(contracts.map(|(name, address)| (name, format!("{address}  on Tempo"))));
    }
    let people = [("customer", Cast::CUSTOMER), ("enterprise", Cast::ENTERPRISE), ("keeper", Cast::KEEPER)];
    lines.extend(people.map(|(name, who)| (name, account(who))));
    voice.say("Running until Ctrl-C");
    for (name, what) in lines {
        voice.say(&format!("  {name:<13} {what}"));
    }
    // Ctrl-C ends the caller, and with it this.
    std::future::pending::<()>().await;
}

/// Where the story is told.
#[derive(Clone, Copy, Debug)]
struct Voice {
    /// Standard output is for JSON.
    quiet_stdout: bool,
}

impl Voice {
    fn say(self, text: &str) {
        if self.quiet_stdout {
            eprintln!("{text}");
        } else {
            println!("{text}");
        }
    }
}

/// Seconds for people to read. Time, not money.
fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
