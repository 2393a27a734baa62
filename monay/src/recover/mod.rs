//! `monay recover`: brings an invoice's money to where it belongs with nothing but the terms, a node and, to act, a key
//! that pays the gas. No database, no configuration, nothing of ours has to be there any more (PROTOCOL §1).

mod act;
mod input;
mod standing;
mod words;

use crate::{Error, setup};
use alloy::eips::BlockNumberOrTag;
use alloy::primitives::keccak256;
use alloy::providers::Provider;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, U256};
use chain::evm::{Evm, shown_url};
use standing::{Holding, Settler, Standing};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use terms::abi::{IERC20, IInvoiceEscrow, ISettlementGate};
use terms::{ESCROW_CODE_HASH, PortableTerms};

/// What it cannot be said better without.
const HELP: &str = "\
Examples:
  What is there, and what can be done, by whom, from when:
      monay recover monay1AQAA… --rpc-url https://mainnet.base.org
  The same from a pay link, from standard input, from the answer of the API that was kept:
      monay recover 'https://pay.example/pay/x7#terms=monay1AQAA…' --rpc-url …
      monay recover - --rpc-url … < receipt.txt
      monay recover invoice.json --escrow 0x… --rpc-url …
  Do what is right now: settle if it is funded and this key may, else send back what may go back:
      monay recover monay1AQAA… --rpc-url … --key-file gas.key
  Only try it:
      monay recover monay1AQAA… --rpc-url … --key-file gas.key --dry-run
  Send back a token, or the chain's own coin, that was sent by mistake:
      monay recover monay1AQAA… --rpc-url … --key-file gas.key --refund --token 0x… --token native
  With the refund key, send what goes back to another address:
      monay recover monay1AQAA… --rpc-url … --key-file gas.key --refund-to 0x… --refund-key-file refund.key

A key file holds 64 hex digits and must be readable by its owner only (chmod 600).

Exit codes:
  0  done, or shown
  1  the node did not answer, or a file could not be read
  2  the command line was wrong
  3  not now, or not with this key: nothing was sent
  4  these terms cannot be carried out here: not terms, another chain, no such escrow
  5  sent, and nobody knows yet whether it was mined: run the same command again";

/// Arguments of `monay recover`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// The terms: the word that begins with monay1, a pay link, a file with either or with JSON, or - for standard input.
    terms: String,
    /// A node of the chain the terms are for.
    #[arg(long, env = "MONAY_RPC_URL", hide_env_values = true)]
    rpc_url: NodeUrl,
    /// The key that sends and pays the gas. Without it nothing is sent.
    #[arg(long)]
    key_file: Option<PathBuf>,
    /// The escrow, for terms as JSON.
    #[arg(long)]
    escrow: Option<Address>,
    /// Another token at the address, besides the invoice's; `native` for the chain's own coin. Can be repeated.
    #[arg(long, value_parser = token)]
    token: Vec<Address>,
    #[command(flatten)]
    verb: Verb,
    /// The refund key, for --refund-to, where it is not the key that sends.
    #[arg(long, requires = "refund_to")]
    refund_key_file: Option<PathBuf>,
    /// Try it on the node, and send nothing.
    #[arg(long, requires = "key_file")]
    dry_run: bool,
    /// How long to wait for the transaction, in seconds.
    #[arg(long, default_value_t = 120)]
    wait: u64,
}

/// What to do; without one of them, what is right now.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(multiple = false)]
struct Verb {
    /// Pay the payee what lies at the address.
    #[arg(long, requires = "key_file")]
    settle: bool,
    /// Send back what lies there to where the terms say.
    #[arg(long, requires = "key_file")]
    refund: bool,
    /// Send back what lies there to this address: an order, signed by the refund key.
    #[arg(long, value_name = "ADDRESS", requires = "key_file")]
    refund_to: Option<Address>,
    /// End the invoice, so that what lies there can go back.
    #[arg(long, requires = "key_file")]
    cancel: bool,
}

/// A node's URL: it may hold the key to the node, and is shown without.
#[derive(Clone)]
struct NodeUrl(String);

impl FromStr for NodeUrl {
    type Err = std::convert::Infallible;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        Ok(Self(url.to_owned()))
    }
}

impl std::fmt::Debug for NodeUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&shown_url(&self.0))
    }
}

fn token(text: &str) -> Result<Address, String> {
    match text {
        "native" => Ok(Address::ZERO),
        text => text.parse().map_err(|_| "a token is an address, or `native`".to_owned()),
    }
}

/// Why recovery stopped; each has an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Not now, or not with this key.
    NotNow,
    /// The terms cannot be carried out here.
    Terms,
    /// Sent, and not seen in a block.
    Unknown,
}

impl Stopped {
    /// The process's exit code.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::NotNow => 3,
            Self::Terms => 4,
            Self::Unknown => 5,
        }
    }
}

fn stopped(stopped: Stopped, why: String) -> Error {
    Error::Recovery { stopped, why }
}

/// Shows what terms and chain say, and acts if there is a key.
pub async fn run(args: Args) -> Result<(), Error> {
    let terms = input::read(&args.terms, args.escrow)?;
    let key = args.key_file.as_deref().map(setup::read_key).transpose()?;
    let refund_key = args.refund_key_file.as_deref().map(setup::read_key).transpose()?;
    let node = connect(&args.rpc_url, &terms, key.clone()).await?;
    check_escrow(&node, &terms).await?;
    let standing = look(&node, terms, &args.token).await?;
    print!("{}", standing.told());
    match key {
        Some(key) => act::act(&args, &node, &standing, &key, refund_key.as_ref()).await,
        None => Ok(()),
    }
}

/// A node of the chain in the terms, or a sentence why it is none.
async fn connect(url: &NodeUrl, terms: &PortableTerms, key: Option<PrivateKeySigner>) -> Result<Evm, Error> {
    let chain = terms.terms.chain;
    Evm::connect(&url.0, chain, key).await.map_err(|error| match error {
        chain::Error::OtherChain { found, .. } => stopped(
            Stopped::Terms,
            format!(
                "these terms are for chain {chain}, and {url:?} is a node of chain {found}: give one of chain {chain}"
            ),
        ),
        error => error.into(),
    })
}

/// The escrow must be the one whose rules are known: terms come from strangers, and so may the contract they name.
async fn check_escrow(node: &Evm, terms: &PortableTerms) -> Result<(), Error> {
    let escrow = terms.escrow;
    let code = node.provider().get_code_at(escrow).await.map_err(|error| node.failed(&error))?;
    let chain = terms.terms.chain;
    if code.is_empty() {
        let why = format!(
            "there is no contract at the escrow's address {escrow} on chain {chain}. If the money lies at {} all the \
             same, it can be moved when somebody deploys the escrow there, which anyone can",
            terms.deposit_address()
        );
        return Err(stopped(Stopped::Terms, why));
    }
    if keccak256(&code) != ESCROW_CODE_HASH {
        let why = format!(
            "the contract at {escrow} on chain {chain} is not InvoiceEscrow version 1: what it does is not known, and \
             nothing is sent to it"
        );
        return Err(stopped(Stopped::Terms, why));
    }
    Ok(())
}

/// Reads what the chain says.
async fn look(node: &Evm, terms: PortableTerms, others: &[Address]) -> Result<Standing, Error> {
    let latest = node.provider().get_block_by_number(BlockNumberOrTag::Latest).await;
    let latest = latest.map_err(|error| node.failed(&error))?;
    let latest = latest.ok_or_else(|| chain::Error::Nonsense("there is no latest block".to_owned()))?;
    let state = node.read(terms.escrow, &IInvoiceEscrow::stateOfCall { termsHash: terms.terms.hash() }).await?;
    let (purse, token) = (terms.deposit_address(), terms.terms.token);
    let mut holdings = vec![holding(node, purse, token).await];
    for other in others.iter().filter(|other| **other != token && !other.is_zero()) {
        holdings.push(holding(node, purse, *other).await);
    }
    let coin = node.provider().get_balance(purse).await.map_err(|error| node.failed(&error))?;
    holdings.push(Holding { token: Address::ZERO, balance: coin, decimals: Some(18) });
    let settler = settler(node, &terms).await?;
    Ok(Standing {
        block: latest.header.number,
        now: latest.header.timestamp,
        paid: state.paid,
        status: state.status,
        since: state.since,
        settler,
        holdings,
        terms,
    })
}

/// A contract that does not answer as a token does holds nothing that could be moved.
async fn holding(node: &Evm, account: Address, token: Address) -> Holding {
    let balance = node.read(token, &IERC20::balanceOfCall { account }).await.unwrap_or(U256::ZERO);
    Holding { token, balance, decimals: node.read(token, &IERC20::decimalsCall {}).await.ok() }
}

async fn settler(node: &Evm, terms: &PortableTerms) -> Result<Settler, Error> {
    let settler = terms.terms.settler;
    if settler.is_zero() {
        return Ok(Settler::Anyone);
    }
    let code = node.provider().get_code_at(settler).await.map_err(|error| node.failed(&error))?;
    if code.is_empty() {
        return Ok(Settler::Account);
    }
    let escrow = node.read(settler, &ISettlementGate::ESCROWCall {}).await;
    Ok(if escrow.is_ok_and(|escrow| escrow == terms.escrow) { Settler::Gate } else { Settler::OtherContract })
}

/// Between two looks for a transaction.
const POLL: Duration = Duration::from_millis(250);
