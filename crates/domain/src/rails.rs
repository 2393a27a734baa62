//! The cross-rail coordinator (PROTOCOL §7): an invoice that can be paid on several chains is paid on one of them.
//!
//! Its **rails** are its terms on each chain. The rail it is paid on is *picked*, and nothing is settled on a rail that is not:
//! that, and no chain, is what keeps one invoice from being paid twice. What lies on the others is cancelled there and goes
//! back.
//!
//! | what there is on a rail | it is picked | once picked, another may be |
//! | --- | --- | --- |
//! | something of ours that pays is signed, or it has paid | first of all | no |
//! | an order to mint that may still be signed or spent ([`crate::mint`]) | then | no |
//! | enough to settle, at the tier its chain settles at, before closesAt − 10 min | then | no |
//! | enough, on time, and not settled so far | no | no |
//! | a payer's authorization that nothing is signed for | then | yes |
//! | less than is due, or nothing | no | yes |
//!
//! Among equals the pick stays where it is, else it is the first rail in the order given. As long as another may be picked, the
//! others' money waits; then it is cancelled. While an order to mint is out it waits too: no other can be picked, but the order
//! may run out, and then what waits pays. From ten minutes before closesAt on, by the clock of any of the chains, the pick
//! changes no more.
//!
//! Who calls [`look`] holds the invoice's row, gives all its rails, and stores the pick, the intents' states and the intents that
//! are wanted in one transaction. **Where an intent is no longer in the state that was looked at, nothing of it is stored and
//! it is looked at again**: what is accepted does not hold the pick, so that it must be superseded with the pick's leaving, or
//! the keeper signs it afterwards. And nothing becomes accepted again (after a try without effect, by an operator's word)
//! without a look in the same transaction.
//!
//! A rail's amounts are base units of its own token; all rails of one invoice have the same number of them (PROTOCOL §1).

use crate::intent::{IntentKind, IntentState};
use crate::invoice::{Exception, InvoiceEvent};
use crate::mint::{ATTESTATION_SECONDS, MintRefusal, SHORTEST_SECONDS};
use crate::project::{Books, Facts, IntentFact, Outcome, Pick, SETTLE_MARGIN_SECONDS, project};
use crate::tier::Tier;
use crate::wallet::{DestructionReason, WalletStatus};
use alloy_primitives::U256;

/// What follows from the facts of all rails together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The chain the invoice is paid on, if that is decided: to be stored, and given at the next look.
    pub picked: Option<u64>,
    /// What follows for each rail, in the order given: what is to be done, intents, when to look again.
    pub rails: Vec<Outcome>,
    /// What people are told.
    pub whole: Whole,
}

/// The invoice and its wallet, over all rails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// What has become of the invoice.
    pub invoice: InvoiceEvent,
    /// How settled the chain is about it; `None` while there is nothing on chain.
    pub tier: Option<Tier>,
    /// What is out of the ordinary, on any rail.
    pub exceptions: Vec<Exception>,
    /// The statuses the wallet has reached, in order.
    pub wallet: Vec<WalletStatus>,
    /// Why the wallet goes, if it goes.
    pub reason: Option<DestructionReason>,
    /// Base units received.
    pub received: U256,
    /// Base units the payee has.
    pub paid: u128,
    /// Base units at the deposit addresses.
    pub balance: U256,
}

/// Looks at all rails of one invoice. `picked` is the chain that was stored; each rail's [`Facts::pick`] is set.
pub fn look(rails: &mut [Facts], picked: Option<u64>) -> Look {
    let picked = pick(rails, picked);
    given(rails, picked)
}

/// On which chain the invoice is paid, if that is decided: the table above.
pub fn pick(rails: &[Facts], picked: Option<u64>) -> Option<u64> {
    if let [only] = rails {
        return Some(only.chain);
    }
    let books: Vec<Books<'_>> = rails.iter().map(Books::of).collect();
    let late = !books.iter().all(Books::in_time);
    let kept = |rail: &Facts| is_held(rail) || Books::of(rail).ordered();
    if late || rails.iter().any(|rail| Some(rail.chain) == picked && kept(rail)) {
        return picked;
    }
    let claims = rails.iter().zip(&books).filter_map(|(rail, books)| Some((claim(rail, books)?, rail.chain)));
    let best = claims.reduce(|best, next| {
        let stays = next.0 == best.0 && Some(next.1) == picked;
        if next.0 > best.0 || stays { next } else { best }
    });
    best.map(|(_, chain)| chain)
}

/// What follows once it is decided which rail is picked.
pub fn given(rails: &mut [Facts], picked: Option<u64>) -> Look {
    let held = rails.iter().any(|rail| Some(rail.chain) == picked && is_held(rail));
    for rail in rails.iter_mut() {
        rail.pick = match picked {
            Some(chain) if chain == rail.chain => Pick::Here,
            _ if held => Pick::Elsewhere,
            _ => Pick::Open,
        };
    }
    let rails: Vec<Outcome> = rails.iter().map(project).collect();
    Look { picked, whole: whole(&rails), rails }
}

/// Whether a deposit of `units` may be minted for the invoice on this chain, and until when: unix seconds, by that chain's clock.
/// Whoever asks holds the invoice's row, and writes the order in the same transaction.
pub fn may_mint(rails: &[Facts], chain: u64, units: u128) -> Result<u64, MintRefusal> {
    let here = rails.iter().find(|rail| rail.chain == chain).ok_or(MintRefusal::NoRail)?;
    let books: Vec<Books<'_>> = rails.iter().map(Books::of).collect();
    if books.iter().any(Books::ordered) {
        return Err(MintRefusal::Ordered);
    }
    // What is paid or paying on any chain, and what lies there whole and on time: that pays, and the deposit goes back.
    if rails.iter().any(is_held) {
        return Err(MintRefusal::Paying);
    }
    if !Books::of(here).open() {
        return Err(MintRefusal::Closed);
    }
    if here.called_off {
        return Err(MintRefusal::CalledOff);
    }
    if here.partials {
        return Err(MintRefusal::Partials);
    }
    if units < here.amount {
        return Err(MintRefusal::TooLittle);
    }
    // The gate mints up to ten minutes before closesAt, and not in that second.
    let last = here.closes_at.saturating_sub(SETTLE_MARGIN_SECONDS + 1);
    let until = here.now.saturating_add(ATTESTATION_SECONDS).min(last);
    let in_time = books.iter().all(Books::in_time) && until >= here.now.saturating_add(SHORTEST_SECONDS);
    if in_time { Ok(until) } else { Err(MintRefusal::Late) }
}

/// Why a rail should be picked, the better reason last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// A payer's authorization waits to be sent.
    Asked,
    /// Enough lies there.
    Ready,
    /// An order to mint is out.
    Ordered,
    /// It has paid, or may be paying.
    Bound,
}

fn claim(rail: &Facts, books: &Books<'_>) -> Option<Claim> {
    let asked = |intent: &IntentFact| intent.kind == IntentKind::Fund && intent.state == IntentState::Accepted;
    if is_bound(rail) {
        Some(Claim::Bound)
    } else if books.ordered() {
        Some(Claim::Ordered)
    } else if books.ready() {
        Some(Claim::Ready)
    } else if rail.intents.iter().any(asked) && books.takes_authorizations() {
        Some(Claim::Asked)
    } else {
        None
    }
}

/// Whether the payee has had something here, or could have without anything more being signed. An intent that failed has no
/// transaction that could still land; it is put back only with a look.
fn is_bound(rail: &Facts) -> bool {
    let pays = |intent: &IntentFact| matches!(intent.kind, IntentKind::Settle | IntentKind::Fund);
    let lands = |intent: &IntentFact| intent.state.in_flight() || intent.state == IntentState::Seen;
    rail.events.iter().any(|event| event.paid > 0) || rail.intents.iter().any(|intent| pays(intent) && lands(intent))
}

/// Whether the pick stays where it is, whatever there is on other rails. What is less than is due does not hold it: a
/// stranger's dust would.
fn is_held(rail: &Facts) -> bool {
    is_bound(rail) || Books::of(rail).covered()
}

/// What an invoice's rails say, the first that any of them says: paid on one, it is paid; open on one, it is open, and as far as
/// the furthest; it has run out when it has on every rail that is left, and is called off when it is on every one.
const SAID: [InvoiceEvent; 7] = [
    InvoiceEvent::Oversettled,
    InvoiceEvent::Settled,
    InvoiceEvent::Funded,
    InvoiceEvent::FundedInPart,
    InvoiceEvent::Waits,
    InvoiceEvent::RanOut,
    InvoiceEvent::CalledOff,
];

const fn is_paid(event: InvoiceEvent) -> bool {
    matches!(event, InvoiceEvent::Settled | InvoiceEvent::Oversettled)
}

const fn is_over(event: InvoiceEvent) -> bool {
    matches!(event, InvoiceEvent::RanOut | InvoiceEvent::CalledOff)
}

/// Puts the rails' outcomes together.
fn whole(rails: &[Outcome]) -> Whole {
    // A rail that is not picked has no say, unless it is the one that has paid.
    let say: Vec<&Outcome> =
        rails.iter().filter(|rail| rail.pick != Pick::Elsewhere || is_paid(rail.invoice)).collect();
    let said = SAID.into_iter().find(|event| say.iter().any(|rail| rail.invoice == *event));
    let said = said.unwrap_or(InvoiceEvent::Waits);
    let decisive: Vec<&Outcome> =
        say.into_iter().filter(|rail| rail.invoice == said || is_over(said) && is_over(rail.invoice)).collect();

    let received = rails.iter().fold(U256::ZERO, |sum, rail| sum.saturating_add(rail.received));
    let elsewhere = decisive.iter().any(|rail| received > rail.received);
    let invoice = if is_paid(said) && elsewhere { InvoiceEvent::Oversettled } else { said };
    let wallet = wallet(said, &decisive, rails);
    let reason = match invoice {
        InvoiceEvent::Settled | InvoiceEvent::Oversettled => DestructionReason::PaymentComplete,
        InvoiceEvent::CalledOff => DestructionReason::Cancelled,
        _ => DestructionReason::TtlExpired,
    };
    Whole {
        invoice,
        // As certain as the least certain of those who say it.
        tier: decisive.iter().filter_map(|rail| rail.tier).min(),
        exceptions: Exception::ALL
            .iter()
            .copied()
            .filter(|exception| rails.iter().any(|rail| rail.exceptions.contains(exception)))
            .collect(),
        reason: wallet.contains(&WalletStatus::Destroying).then_some(reason),
        wallet,
        received,
        paid: rails.iter().fold(0, |sum, rail| sum.saturating_add(rail.paid)),
        balance: rails.iter().fold(U256::ZERO, |sum, rail| sum.saturating_add(rail.balance)),
    }
}

/// The wallet goes as far as the furthest rail that decides, and is destroyed only when nothing lies on any. Where it is paid,
/// the others need to be empty for good and no more: what comes there later is late, and goes back without the key. Where it
/// is not, the key stays until on every chain nothing can come in time any more.
fn wallet(said: InvoiceEvent, decisive: &[&Outcome], rails: &[Outcome]) -> Vec<WalletStatus> {
    let furthest = decisive.iter().max_by_key(|rail| rail.wallet.last());
    let mut path = furthest.map_or_else(|| vec![WalletStatus::Active], |rail| rail.wallet.clone());
    let gone = |rail: &Outcome| rail.wallet.contains(&WalletStatus::Destroyed);
    let left = |rail: &Outcome| if is_paid(said) { !gone(rail) && !rail.empty_for_good } else { !gone(rail) };
    if rails.iter().any(left) {
        path.retain(|status| *status != WalletStatus::Destroyed);
    }
    path
}
