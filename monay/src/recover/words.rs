//! Times, amounts and the contracts' own errors, as people read them.

use alloy_primitives::{Address, B256, U256, hex};
use alloy_sol_types::SolInterface;
use terms::abi::IInvoiceEscrow::IInvoiceEscrowErrors as Escrow;
use terms::abi::ISettlementGate::ISettlementGateErrors as Gate;
use time::OffsetDateTime;
use time::macros::format_description;

const DAY: u64 = 24 * 60 * 60;

/// A moment in UTC: `2026-11-24 15:00:00 UTC`. Unix seconds.
pub(super) fn utc(at: u64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    let at_time = i64::try_from(at).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    at_time.and_then(|at| at.format(&format).ok()).unwrap_or_else(|| format!("second {at} after 1970 (never)"))
}

/// A moment in UTC and how far it is from `now`: `2026-11-24 15:00:00 UTC, in 2 days 3 hours`.
pub(super) fn when(at: u64, now: u64) -> String {
    let distance = match at.checked_sub(now) {
        Some(0) => "now".to_owned(),
        Some(ahead) => format!("in {}", span(ahead)),
        None => format!("{} ago", span(now - at)),
    };
    format!("{}, {distance}", utc(at))
}

/// A number of seconds, in its two largest units.
fn span(seconds: u64) -> String {
    let parts = [(DAY, "day"), (60 * 60, "hour"), (60, "minute"), (1, "second")];
    let mut rest = seconds;
    let mut words = Vec::new();
    for (unit, word) in parts {
        let count = rest / unit;
        rest %= unit;
        if count > 0 {
            words.push(format!("{count} {word}{}", if count == 1 { "" } else { "s" }));
        }
    }
    words.truncate(2);
    words.join(" ")
}

/// Base units with their decimals, where the token says how many it has: `150.000000 (150000000 base units)`.
pub(super) fn units(amount: U256, decimals: Option<u8>) -> String {
    match decimals.map(usize::from) {
        Some(decimals @ 1..=36) => {
            let digits = format!("{:0>width$}", amount.to_string(), width = decimals + 1);
            let (whole, part) = digits.split_at(digits.len() - decimals);
            format!("{whole}.{part} ({amount} base units)")
        }
        _ => format!("{amount} base units"),
    }
}

/// What a contract's refusal says, with its name for whoever reads the sources.
pub(super) fn refusal(data: &[u8]) -> String {
    if let Ok(error) = Escrow::abi_decode(data) {
        let name = Escrow::name_by_selector(error.selector()).unwrap_or("an error");
        return format!("the escrow refuses ({name}): {}", escrow(&error));
    }
    if let Ok(error) = Gate::abi_decode(data) {
        let name = Gate::name_by_selector(error.selector()).unwrap_or("an error");
        return format!("the gate refuses ({name}): {}", gate(&error));
    }
    match data.get(..132.min(data.len())) {
        Some([]) | None => "it would revert, and the contract (most likely the token) does not say why".to_owned(),
        Some(start) => format!("it would revert with 0x{}, which is no error of ours", hex::encode(start)),
    }
}

fn escrow(error: &Escrow) -> String {
    use Escrow as E;
    match error {
        E::WrongVersion(e) => format!("the terms are version {}, it knows version 1", e.version),
        E::WrongChain(e) => format!("the terms are for chain {}, this is chain {}", e.chain, e.here),
        E::InvalidPayee(e) => format!("the payee {} can be paid by no invoice", e.payee),
        E::InvalidToken(e) => format!("there is no token contract at {}", e.token),
        E::InvalidAmount(_) => "the terms are about no money".to_owned(),
        E::InvalidClosesAt(e) => format!("the terms close at {}, which is not allowed", utc(e.closesAt)),
        E::InvalidRefundTo(e) => format!("nothing can be sent back to {}", e.refundTo),
        E::InvalidFlags(e) => format!("the flags {:#04x} have no meaning here", e.flags),
        E::NotSettler(e) => format!("only {} may settle this invoice, the key given is {}", e.settler, e.caller),
        E::NotPayeeNorSettler(e) => {
            format!(
                "only the payee {} and the settler {} may cancel, the key given is {}",
                e.payee, e.settler, e.caller
            )
        }
        E::NotOpen(e) => format!("the invoice is {}", if e.status == 1 { "paid in full" } else { "cancelled" }),
        E::Closed(e) => format!("the invoice has closed at {}: what lies there can only go back", utc(e.closesAt)),
        E::NotFunded(e) => {
            format!("{} base units are due, at once and in full, and {} lie at the address", e.due, e.balance)
        }
        E::NothingDue(_) => "nothing lies at the address".to_owned(),
        E::NotRefundable(e) => {
            format!(
                "this can go back from {} on, and it is {}",
                utc(e.opensAt.saturating_to()),
                utc(e.timestamp.saturating_to())
            )
        }
        E::AlreadyRan(_) => "something was moved from this address in the same transaction: try again".to_owned(),
        E::MalformedTerms(_) => "the terms have bits that their fields do not".to_owned(),
        E::PayerIsPayee(_) => "the payee cannot pay himself".to_owned(),
        E::InvoiceTokenMoved(_) => {
            "that token is the invoice's under another address, and is kept for the payee".to_owned()
        }
        E::NoRefundKey(_) => "these terms name no refund key: money goes back to where they say".to_owned(),
        E::OrderForOtherTerms(_) => "the order is about another invoice".to_owned(),
        E::OrderExpired(e) => format!("the order was good until {}", utc(e.deadline.saturating_to())),
        E::InvalidOrderTo(e) => format!("{} is zero, the escrow, the token or the deposit address itself", e.to),
        E::OrderUsed(_) => "this order was carried out before".to_owned(),
        E::NotRefundKey(e) => format!("the order is signed by {}, the refund key is {}", e.signer, e.refundKey),
        E::InsufficientGas(_) => "it was given too little gas".to_owned(),
        E::Reentered(_) | E::NotSelf(_) | E::NotRunning(_) => "it was called in a way that nobody calls it".to_owned(),
    }
}

fn gate(error: &Gate) -> String {
    match error {
        Gate::AccessManagedUnauthorized(e) => {
            format!("{} has not the role for this: whoever governs the gate has to grant it", e.caller)
        }
        Gate::AccessManagedRequiredDelay(e) => format!("{} may do this only {} s after he said so", e.caller, e.delay),
        Gate::NotClearer(e) => format!("{} may not sign clearances", e.signer),
        Gate::AuthorizationTooLong(e) => {
            format!("the authorization is good for longer than {}", utc(e.latest.saturating_to()))
        }
        Gate::TooManyCancels(e) => format!("no more can be cancelled before {}", utc(e.nextAt.saturating_to())),
        Gate::GateBalanceChanged(_) => "the token did not move what it said".to_owned(),
    }
}

/// An address, or nobody.
pub(super) fn somebody(address: Address, nobody: &str) -> String {
    if address.is_zero() { nobody.to_owned() } else { address.to_string() }
}

/// The chain's own coin is token zero.
pub(super) fn token_name(token: Address, invoice_token: Address) -> String {
    match token {
        Address::ZERO => "the native coin".to_owned(),
        token if token == invoice_token => "the invoice's token".to_owned(),
        token => format!("the token {token}"),
    }
}

/// What was sent, for people to look up.
pub(super) fn transaction(hash: B256) -> String {
    format!("transaction {hash}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_utc_and_in_words() {
        for (at, now, told) in [
            (1_800_000_000, 1_800_000_000, "2027-01-15 08:00:00 UTC, now"),
            (1_800_000_000, 1_799_990_000, "2027-01-15 08:00:00 UTC, in 2 hours 46 minutes"),
            (1_800_000_000, 1_800_172_801, "2027-01-15 08:00:00 UTC, 2 days 1 second ago"),
            (1_800_000_000, 1_799_999_999, "2027-01-15 08:00:00 UTC, in 1 second"),
        ] {
            assert_eq!(when(at, now), told);
        }
        assert!(utc(u64::MAX).contains("never"), "terms may close at any number");
    }

    #[test]
    fn amounts_keep_every_unit() {
        for (amount, decimals, told) in [
            (150_000_000_u64, Some(6), "150.000000 (150000000 base units)"),
            (1, Some(6), "0.000001 (1 base units)"),
            (7, None, "7 base units"),
            (7, Some(0), "7 base units"),
        ] {
            assert_eq!(units(U256::from(amount), decimals), told);
        }
        assert!(units(U256::MAX, Some(18)).ends_with(&format!("({} base units)", U256::MAX)));
    }
}
