//! JSON-RPC of a Solana node, over HTTP.

use crate::Error;
use crate::evm::{secrets_of, shown_url};
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use terms::Pubkey;

/// No answer of a node is waited for longer than this.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The most bytes of an answer: several times the biggest block there is.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// How sure a node has to be of what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Commitment {
    /// Two thirds of the stake have voted for the block. For show, and for what is tried next.
    Confirmed,
    /// Nothing can take it away. For money.
    Finalized,
}

/// Why a call has no answer.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// Nobody knows what the node did.
    Unreachable(String),
    /// The node said no.
    Refused(Refusal),
    /// It said something else than it should.
    Nonsense(String),
}

/// A JSON-RPC error.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) code: i64,
    #[serde(default)]
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) data: Value,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable(why) => Self::Unreachable(why),
            Failure::Refused(refusal) => Self::Refused(format!("error {}: {}", refusal.code, refusal.message)),
            Failure::Nonsense(why) => Self::Nonsense(why),
        }
    }
}

/// What a node answered, and as of which slot.
#[derive(Debug, Deserialize)]
pub(crate) struct AsOf<T> {
    pub(crate) context: Context,
    pub(crate) value: T,
}

/// As of when an answer is.
#[derive(Debug, Deserialize)]
pub(crate) struct Context {
    pub(crate) slot: u64,
}

/// `N` bytes in base58: an address, a block's hash, a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Base58<const N: usize>(pub(crate) [u8; N]);

impl<'de, const N: usize> Deserialize<'de> for Base58<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; N];
        match bs58::decode(&text).onto(&mut bytes) {
            Ok(length) if length == N => Ok(Self(bytes)),
            _ => Err(D::Error::custom(format!("'{text}' is not {N} bytes in base58"))),
        }
    }
}

/// An account, as far as it matters here.
#[derive(Clone, Debug)]
pub struct AccountInfo {
    /// What it holds.
    pub lamports: u64,
    /// The program that owns it.
    pub owner: Pubkey,
    /// Its data.
    pub data: Vec<u8>,
    /// Whether it is a program.
    pub executable: bool,
}

#[derive(Deserialize)]
struct RawAccount {
    lamports: u64,
    owner: Base58<32>,
    data: (String, String),
    executable: bool,
}

impl RawAccount {
    fn read(self) -> Result<AccountInfo, Error> {
        use base64::Engine;
        let data = base64::engine::general_purpose::STANDARD.decode(self.data.0);
        let data = data.map_err(|error| Error::Nonsense(format!("an account's data: {error}")))?;
        let owner = Pubkey::new_from_array(self.owner.0);
        Ok(AccountInfo { lamports: self.lamports, owner, data, executable: self.executable })
    }
}

/// A node. Its URL may hold a key, which is never shown.
#[derive(Clone)]
pub struct Rpc(Arc<Inner>);

struct Inner {
    client: reqwest::Client,
    url: reqwest::Url,
    secrets: Vec<(String, String)>,
    shown: String,
}

#[derive(Serialize)]
struct Request<'a, P> {
    jsonrpc: &'a str,
    id: u64,
    method: &'a str,
    params: P,
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Answer<T> {
    // `null` is an answer, and no field is none.
    #[serde(default, deserialize_with = "some")]
    result: Option<T>,
    #[serde(default)]
    error: Option<Refusal>,
}

fn some<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl Rpc {
    /// The node at an `http` or `https` URL. Nothing is sent yet.
    pub fn at(rpc_url: &str) -> Result<Self, Error> {
        // Set once for the process; a second time is refused and harmless.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shown = shown_url(rpc_url);
        let url: reqwest::Url =
            rpc_url.parse().map_err(|error| Error::Configuration(format!("'{shown}' is no URL: {error}")))?;
        let client = reqwest::Client::builder().timeout(TIMEOUT).build();
        let client = client.map_err(|error| Error::Configuration(format!("no HTTP client: {error}")))?;
        Ok(Self(Arc::new(Inner { client, secrets: secrets_of(rpc_url, &url), url, shown })))
    }

    /// The node, as it may be shown.
    pub fn shown(&self) -> &str {
        &self.0.shown
    }

    /// Any call whose answer is JSON.
    pub async fn call<T: DeserializeOwned>(&self, method: &str, params: impl Serialize + Send) -> Result<T, Error> {
        self.ask(method, params).await.map_err(Error::from)
    }

    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        params: impl Serialize + Send,
    ) -> Result<T, Failure> {
        let unreachable = |error: reqwest::Error| Failure::Unreachable(self.words(&in_full(&error)));
        let request = Request { jsonrpc: "2.0", id: 1, method, params };
        let mut answer = self.0.client.post(self.0.url.clone()).json(&request).send().await.map_err(unreachable)?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(Failure::Nonsense(format!(
                    "its answer to {method} has more than {MAX_ANSWER_BYTES} bytes"
                )));
            }
            bytes.extend_from_slice(&chunk);
        }
        // Some nodes say no with another status than 200; a busy proxy says nothing of use.
        match serde_json::from_slice::<Answer<T>>(&bytes) {
            Ok(Answer { error: Some(mut refusal), .. }) => {
                refusal.message = self.words(&refusal.message);
                Err(Failure::Refused(refusal))
            }
            Ok(Answer { result: Some(result), .. }) if status.is_success() => Ok(result),
            _ if !status.is_success() => Err(Failure::Unreachable(format!("{method}: HTTP status {status}"))),
            Ok(_) => Err(Failure::Nonsense(format!("its answer to {method} has neither result nor error"))),
            Err(error) => Err(Failure::Nonsense(self.words(&format!("its answer to {method}: {error}")))),
        }
    }

    /// The highest slot of which the node is this sure.
    pub(crate) async fn slot(&self, commitment: Commitment) -> Result<u64, Error> {
        self.call("getSlot", [Config { commitment }]).await
    }

    /// The account at an address, if there is one.
    pub async fn account(&self, address: &Pubkey) -> Result<Option<AccountInfo>, Error> {
        let mut accounts = self.accounts(&[*address]).await?;
        Ok(accounts.pop().flatten())
    }

    /// The accounts at some addresses, at most 100.
    pub async fn accounts(&self, addresses: &[Pubkey]) -> Result<Vec<Option<AccountInfo>>, Error> {
        let names: Vec<String> = addresses.iter().map(Pubkey::to_string).collect();
        let config = serde_json::json!({"commitment": Commitment::Confirmed, "encoding": "base64"});
        let answer: AsOf<Vec<Option<RawAccount>>> = self.call("getMultipleAccounts", (names, config)).await?;
        if answer.value.len() != addresses.len() {
            let (asked, told) = (addresses.len(), answer.value.len());
            return Err(Error::Nonsense(format!("{told} accounts for {asked} addresses")));
        }
        answer.value.into_iter().map(|account| account.map(RawAccount::read).transpose()).collect()
    }

    fn words(&self, words: &str) -> String {
        self.0.secrets.iter().fold(words.to_owned(), |words, (secret, shown)| words.replace(secret, shown))
    }
}

impl std::fmt::Debug for Rpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Rpc").field(&self.0.shown).finish()
    }
}

/// The one setting most methods take.
#[derive(Serialize)]
pub(crate) struct Config {
    pub(crate) commitment: Commitment,
}

/// An error with its causes: the client's own words are only "error sending request".
fn in_full(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
