//! The node's slots as they come.

use super::surfpool;
use chain::solana::ws::Slots;
use futures_util::SinkExt;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn the_first_slot_heard_of_is_one_that_the_node_has() {
    let node = surfpool().await;
    let mut slots = Slots::subscribe(node.ws_url()).unwrap();
    let first = slots.first().await.unwrap();
    assert!(first <= node.slot("processed").await.unwrap() + 1);
    slots.wait(Duration::from_secs(10)).await;
    assert!(slots.highest().unwrap() > first);
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_nobody_is_told_of_a_lower_slot() {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", server.local_addr().unwrap());
    tokio::spawn(async move {
        for slots in [vec![7, 9], vec![8, 12]] {
            let (stream, _) = server.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            for slot in slots {
                let params = format!(r#"{{"result":{{"parent":1,"root":1,"slot":{slot}}},"subscription":0}}"#);
                let said = format!(r#"{{"jsonrpc":"2.0","method":"slotNotification","params":{params}}}"#);
                socket.send(Message::text(said)).await.unwrap();
            }
            // Gone without a word.
        }
    });
    let mut slots = Slots::subscribe(&url).unwrap();
    assert!(slots.first().await.unwrap() >= 7);
    let mut heard = vec![];
    while slots.highest() != Some(12) {
        slots.wait(Duration::from_secs(10)).await;
        heard.extend(slots.highest());
    }
    assert!(heard.is_sorted(), "{heard:?}");
    assert!(Slots::subscribe("not a url").is_err());
}
