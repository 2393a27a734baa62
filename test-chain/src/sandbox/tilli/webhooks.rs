//! Notifications. Assumed: TilliPay documents none.

use super::Shared;
use super::state::Mode;
use ring::hmac;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// How often one is sent when it is not taken.
const ATTEMPTS: u32 = 6;

/// Delivers what waits, in order, and returns when that is done.
pub(super) async fn flush(shared: &Arc<Shared>) {
    let _one_at_a_time = shared.delivering.lock().await;
    let (url, waiting) = {
        let mut state = shared.state();
        let Some(url) = state.webhook_url.clone() else { return };
        let waiting: Vec<Value> = match state.mode {
            Mode::Reordered => return,
            Mode::Missing => {
                state.notifications.clear();
                return;
            }
            Mode::Duplicate => state.notifications.drain(..).flat_map(|event| [event.clone(), event]).collect(),
            Mode::Normal => state.notifications.drain(..).collect(),
        };
        (url, waiting)
    };
    for event in waiting {
        let body = event.to_string();
        let signature = sign(&shared.config.webhook_secret, body.as_bytes());
        for attempt in 0..ATTEMPTS {
            let sent = shared
                .http
                .post(&url)
                .timeout(Duration::from_secs(5))
                .header("content-type", "application/json")
                .header(shared.config.assumed.signature_header.as_str(), &signature)
                .body(body.clone());
            if sent.send().await.is_ok_and(|answer| answer.status().is_success()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10 << attempt)).await;
        }
    }
}

fn sign(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
