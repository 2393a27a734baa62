//! The node's slots as they come, over a WebSocket: what wakes the mirror up. It proves nothing, and nothing is lost when it
//! is silent: blocks are always asked for by number.

use crate::Error;
use crate::evm::shown_url;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::{Error as WsError, Message, client::IntoClientRequest};

/// A chain that makes two slots a second or more says nothing for this long only where the connection is gone.
const SILENCE: Duration = Duration::from_secs(20);

/// Between two tries to connect.
const PAUSE: Duration = Duration::from_secs(1);

const SUBSCRIBE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"slotSubscribe"}"#;

/// A subscription to the node's slots. It connects again by itself, and ends when it is dropped.
#[derive(Debug)]
pub struct Slots {
    highest: watch::Receiver<Option<u64>>,
    task: JoinHandle<()>,
}

impl Slots {
    /// Subscribes at a `ws` or `wss` URL.
    pub fn subscribe(ws_url: &str) -> Result<Self, Error> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shown = shown_url(ws_url);
        if let Err(error) = ws_url.into_client_request() {
            return Err(Error::Configuration(format!("'{shown}' is no WebSocket URL: {error}")));
        }
        let (tell, highest) = watch::channel(None);
        let url = ws_url.to_owned();
        let task = tokio::spawn(async move {
            while !tell.is_closed() {
                // Whatever ended it, the next connection is the answer; what was missed is read by number.
                let _ = follow(&url, &tell).await;
                tokio::time::sleep(PAUSE).await;
            }
        });
        Ok(Self { highest, task })
    }

    /// The highest slot heard of; none before the first.
    pub fn highest(&self) -> Option<u64> {
        *self.highest.borrow()
    }

    /// Waits for the first slot: from then on nothing new goes unheard, and what is older can be read.
    pub async fn first(&mut self) -> Option<u64> {
        self.highest.wait_for(Option::is_some).await.ok().and_then(|slot| *slot)
    }

    /// Waits until a higher slot comes, or for so long.
    pub async fn wait(&mut self, at_most: Duration) {
        if let Ok(Err(_)) = tokio::time::timeout(at_most, self.highest.changed()).await {
            // Nobody will ever tell anything again.
            tokio::time::sleep(at_most).await;
        }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Deserialize)]
struct Notification {
    params: Params,
}

#[derive(Deserialize)]
struct Params {
    result: Slot,
}

#[derive(Deserialize)]
struct Slot {
    slot: u64,
}

async fn follow(url: &str, tell: &watch::Sender<Option<u64>>) -> Result<(), WsError> {
    let gone = || WsError::ConnectionClosed;
    let connect = tokio_tungstenite::connect_async(url);
    let (mut socket, _) = tokio::time::timeout(SILENCE, connect).await.map_err(|_| gone())??;
    socket.send(Message::text(SUBSCRIBE)).await?;
    loop {
        let message = tokio::time::timeout(SILENCE, socket.next()).await.map_err(|_| gone())?.ok_or_else(gone)??;
        // What is no notification is the answer to the subscription, or a ping, which is answered for us.
        let Message::Text(text) = message else { continue };
        if let Ok(Notification { params }) = serde_json::from_str(&text) {
            let slot = params.result.slot;
            tell.send_if_modified(|highest| {
                let higher = highest.is_none_or(|highest| highest < slot);
                if higher {
                    *highest = Some(slot);
                }
                higher
            });
        }
    }
}
