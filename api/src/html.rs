//! Pages: plain HTML from the server. `maud` escapes every value that is put in; nothing is loaded from elsewhere, and a
//! strict policy sees to it that nothing could be.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const STYLE: &str = include_str!("page.css");

/// No script, no image, no frame, no form, and of styles only the one above.
static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).ok()
});

/// A page that reloads itself every `refresh` seconds, if it is to.
pub(crate) fn page(status: StatusCode, title: &str, refresh: Option<u32>, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                @if let Some(seconds) = refresh { meta http-equiv="refresh" content=(seconds); }
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    };
    let mut response = (status, page.into_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    // A pay link is a secret; it is not told to the pages one goes to from here.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Without its policy a page is not shown at all.
    match &*POLICY {
        Some(policy) => {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
            response
        }
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
