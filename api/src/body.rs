//! Reads the JSON object a request came with, field by field, so that every complaint names the field.

use crate::App;
use crate::problem::{Code, Problem};
use alloy_primitives::{Address, Bytes, hex};
use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use futures_util::StreamExt;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, error::Category};
use std::fmt;
use std::sync::Arc;
use terms::Pubkey;
use utoipa::ToSchema;

/// The largest body that is read.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;

/// How much of a body that is too large is taken in and thrown away, so that its sender gets to read the answer.
const DISCARD_BYTES: usize = 1024 * 1024;

/// A body that says it is JSON; or none at all, for the few routes that need none.
pub(crate) struct JsonBody(Option<Vec<u8>>);

impl JsonBody {
    /// As it was sent.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl FromRequest<Arc<App>> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = kind.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("application/json") {
            return Ok(Self(Some(read(request.into_body()).await?)));
        }
        // What is not there need not be declared.
        let none = kind.is_empty() && request.body().is_end_stream();
        if none { Ok(Self(None)) } else { Err(undeclared()) }
    }
}

fn undeclared() -> Problem {
    let detail = "Send the body as JSON, with the header `Content-Type: application/json`.";
    Problem::new(Code::ContentTypeUnsupported, detail)
}

/// Nothing needs to be said.
#[derive(ToSchema)]
#[allow(dead_code)]
pub(crate) struct Nothing {}

/// For a route that needs to be told nothing: no body, or an empty object.
pub(crate) fn nothing(body: &JsonBody) -> Result<(), Problem> {
    if body.0.is_none() { Ok(()) } else { Fields::parse(body)?.finish() }
}

async fn read(body: Body) -> Result<Vec<u8>, Problem> {
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut total) = (Vec::new(), 0_usize);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::new(Code::BodyUnreadable, "The body ended before it was complete."))?;
        total = total.saturating_add(chunk.len());
        if total > DISCARD_BYTES {
            break;
        }
        if total <= MAX_BODY_BYTES {
            bytes.extend_from_slice(&chunk);
        }
    }
    if total > MAX_BODY_BYTES {
        let detail = format!("The body is larger than {MAX_BODY_BYTES} bytes.");
        return Err(Problem::new(Code::BodyTooLarge, detail));
    }
    Ok(bytes)
}

/// The fields of a JSON object, each as it was written. Taken out one by one; what is left at the end is not known here.
pub(crate) struct Fields<'a> {
    left: Vec<(String, &'a RawValue)>,
    /// What was asked for, there or not: all that this route knows.
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Finds the fields of the object.
    pub(crate) fn parse(body: &'a JsonBody) -> Result<Self, Problem> {
        let bytes = body.0.as_ref().ok_or_else(undeclared)?;
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let fields = json
            .deserialize_map(Fields { left: Vec::new(), known: Vec::new() })
            .and_then(|fields| json.end().map(|()| fields));
        let fields = fields.map_err(|error| malformed(&error))?;
        for (at, (name, _)) in fields.left.iter().enumerate() {
            if fields.left.iter().take(at).any(|(other, _)| other == name) {
                let name = short(name);
                return Err(
                    Problem::new(Code::FieldDuplicate, format!("The field '{name}' is there twice.")).field(&name)
                );
            }
        }
        Ok(fields)
    }

    /// Takes a field out; `null` is as good as not there.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<&'a RawValue> {
        self.known.push(name);
        let at = self.left.iter().position(|(field, _)| field == name)?;
        let (_, raw) = self.left.swap_remove(at);
        (raw.get() != "null").then_some(raw)
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        self.take(name).map(|raw| serde_json::from_str(raw.get()).map_err(|_| wrong_type(name, "a text"))).transpose()
    }

    /// A whole number that is not negative. Written with a point and zeros it is the same number (JSON Schema: an integer).
    pub(crate) fn whole(&mut self, name: &'static str, what: &'static str) -> Result<Option<u64>, Problem> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        let digits = match raw.get().split_once('.') {
            Some((digits, rest)) if rest.bytes().all(|digit| digit == b'0') => digits,
            _ => raw.get(),
        };
        serde_json::from_str(digits).map(Some).map_err(|_| wrong_type(name, what))
    }

    /// True or false.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, Problem> {
        self.take(name)
            .map(|raw| serde_json::from_str(raw.get()).map_err(|_| wrong_type(name, "true or false")))
            .transpose()
    }

    /// An amount as it was written: the digits of a number, or the text of a string. Never a float.
    pub(crate) fn amount(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        match raw.get().starts_with('"') {
            true => serde_json::from_str(raw.get()).map(Some).map_err(|_| wrong_type(name, "an amount")),
            false => Ok(Some(raw.get().to_owned())),
        }
    }

    /// An Ethereum address as people paste it. In mixed case it carries a checksum, and a wrong one is a typing mistake.
    pub(crate) fn address(&mut self, name: &'static str, malformed: Code) -> Result<Option<Address>, Problem> {
        self.text(name)?.map(|text| parse_address(&text, name, malformed)).transpose()
    }

    /// A Solana address as people paste it.
    pub(crate) fn solana(&mut self, name: &'static str) -> Result<Option<Pubkey>, Problem> {
        let malformed =
            || Problem::new(Code::AccountMalformed, format!("{name} must be a Solana address, in base58.")).field(name);
        self.text(name)?.map(|text| text.parse().map_err(|_| malformed())).transpose()
    }

    /// Bytes: `0x` and pairs of hexadecimal digits.
    pub(crate) fn bytes(&mut self, name: &'static str, malformed: Code) -> Result<Option<Bytes>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        // Not for the decoder to strip: it would take 0x0x too.
        let digits = text.strip_prefix("0x").filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let bytes = digits.and_then(|digits| hex::decode(digits).ok());
        bytes.map(|bytes| Some(bytes.into())).ok_or_else(|| {
            Problem::new(malformed, format!("{name} must be 0x and pairs of hexadecimal digits.")).field(name)
        })
    }

    /// An object of the tenant's own, of at most `max` bytes as it was written.
    pub(crate) fn object(&mut self, name: &'static str, max: usize) -> Result<Option<Value>, Problem> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        if raw.get().len() > max {
            let detail = format!("{name} has {} bytes, may have {max}.", raw.get().len());
            return Err(Problem::new(Code::MetadataTooLarge, detail).field(name));
        }
        let refused = |why: &str| Problem::new(Code::MetadataMalformed, format!("{name} {why}.")).field(name);
        match serde_json::from_str(raw.get()) {
            Ok(value @ Value::Object(_)) if has_nul(&value) => {
                Err(refused("has a NUL character, which cannot be stored"))
            }
            Ok(value @ Value::Object(_)) => Ok(Some(value)),
            Ok(_) => Err(refused("must be an object")),
            Err(_) => Err(refused("is nested too deeply, or has a number or text that is not one")),
        }
    }

    /// Refuses what nobody has taken.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        let Some((name, _)) = self.left.first() else { return Ok(()) };
        let name = short(name);
        let detail = format!("There is no field '{name}' here.");
        Err(Problem::new(Code::FieldUnknown, detail).field(&name).with("known", self.known))
    }
}

/// What a route that reads a body can answer because of it.
pub(crate) const CODES: &[Code] = &[
    Code::ContentTypeUnsupported,
    Code::BodyTooLarge,
    Code::BodyUnreadable,
    Code::JsonMalformed,
    Code::FieldUnknown,
    Code::FieldDuplicate,
    Code::FieldType,
];

/// The field was needed and is not there.
pub(crate) fn missing(name: &'static str) -> Problem {
    Problem::new(Code::FieldMissing, format!("The field '{name}' is missing.")).field(name)
}

pub(crate) fn parse_address(text: &str, name: &'static str, malformed: Code) -> Result<Address, Problem> {
    let refused = |why: String| Problem::new(malformed, why).field(name);
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 40).unwrap_or_default();
    let address: Address = format!("0x{digits}")
        .parse()
        .map_err(|_| refused(format!("{name} must be an Ethereum address: 0x and 40 hexadecimal digits.")))?;
    let upper = digits.bytes().any(|digit| digit.is_ascii_uppercase());
    let lower = digits.bytes().any(|digit| digit.is_ascii_lowercase());
    if upper && lower && address.to_checksum(None) != text {
        return Err(refused(format!("The checksum of {name} does not fit: one of its characters is mistyped.")));
    }
    Ok(address)
}

pub(crate) fn wrong_type(name: &'static str, what: &'static str) -> Problem {
    Problem::new(Code::FieldType, format!("{name} must be {what}.")).field(name)
}

fn malformed(error: &serde_json::Error) -> Problem {
    let detail = match error.classify() {
        Category::Data => "The body must be a JSON object.".to_owned(),
        _ => format!("The body is not JSON: {error}."),
    };
    Problem::new(Code::JsonMalformed, detail).with("line", error.line()).with("column", error.column())
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The start of a name, for a message that must not grow with its input.
fn short(name: &str) -> String {
    name.chars().take(40).collect()
}

impl<'a> Visitor<'a> for Fields<'a> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some(field) = map.next_entry::<String, &'a RawValue>()? {
            self.left.push(field);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_and_without_a_checksum() {
        let parse = |text: &str| parse_address(text, "to", Code::RefundAddressMalformed);
        let good = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";
        let lower = good.to_lowercase();
        let upper = format!("0x{}", good[2..].to_uppercase());
        for text in [good, lower.as_str(), upper.as_str()] {
            assert_eq!(parse(text).unwrap().to_string(), good);
        }
        let mistyped = good.replace("d8dA", "d8da");
        for text in ["", "0x", &good[2..], &good[..41], &format!("{good}0"), "0x0x", &mistyped, &good.replace('a', "g")]
        {
            assert_eq!(parse(text).unwrap_err().code(), Code::RefundAddressMalformed, "{text}");
        }
    }
}
