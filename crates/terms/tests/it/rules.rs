//! Each row of PROTOCOL §1, at its limit and one beside it.

use crate::{ARBITRARY, typical};
use terms::{Address, BrokenRule, FLAG_PARTIALS, Here, InvoiceTerms, MAX_LIFETIME_SECONDS};

const NOW: u64 = 1_790_000_000;
const LATEST: u64 = NOW + MAX_LIFETIME_SECONDS;
const HERE: Here = Here { chain: 8453, timestamp: NOW, deployment: ARBITRARY };

type Change = fn(&mut InvoiceTerms);

#[test]
fn typical_terms_are_valid() {
    assert_eq!(typical().check(&HERE), Ok(()));
    assert_eq!(MAX_LIFETIME_SECONDS, 34_560_000, "400 days");
}

/// What each row allows, up to the very limit.
#[test]
fn a_row_at_its_limit_holds() {
    let rows: &[(&str, Change)] = &[
        ("amount: the smallest", |t| t.amount = 1),
        ("amount: the largest", |t| t.amount = u128::MAX),
        ("closesAt: the smallest; long closed terms are still valid", |t| t.closes_at = 1),
        ("closesAt: a second before now", |t| t.closes_at = NOW - 1),
        ("closesAt: now", |t| t.closes_at = NOW),
        ("closesAt: now + 400 days - 1", |t| t.closes_at = LATEST - 1),
        ("closesAt: now + 400 days", |t| t.closes_at = LATEST),
        ("invoiceId: any 32 bytes", |t| t.invoice_id.0 = [0; 32]),
        ("refundKey: none", |t| t.refund_key = Address::ZERO),
        ("settler: anyone", |t| t.settler = Address::ZERO),
        ("flags: none", |t| t.flags = 0),
        ("flags: partials", |t| t.flags = FLAG_PARTIALS),
        ("payee may be refundTo", |t| t.payee = t.refund_to),
        ("payee may be refundKey", |t| t.payee = t.refund_key),
        ("refundTo may be the settler", |t| t.refund_to = t.settler),
        ("refundTo may be refundKey", |t| t.refund_to = t.refund_key),
        ("refundKey may be the settler", |t| t.refund_key = t.settler),
        ("the settler may be the token", |t| t.settler = t.token),
    ];
    for (row, change) in rows {
        let mut terms = typical();
        change(&mut terms);
        assert_eq!(terms.check(&HERE), Ok(()), "{row}");
    }
}

#[test]
fn a_broken_row_is_named() {
    use BrokenRule::*;
    let (token, settler, factory) = (typical().token, typical().settler, ARBITRARY.factory);
    let rows: &[(&str, Change, BrokenRule)] = &[
        ("version 0", |t| t.version = 0, WrongVersion(0)),
        ("version 2", |t| t.version = 2, WrongVersion(2)),
        ("the chain before", |t| t.chain = 8452, WrongChain { chain: 8452, here: 8453 }),
        ("the chain after", |t| t.chain = 8454, WrongChain { chain: 8454, here: 8453 }),
        ("payee 0", |t| t.payee = Address::ZERO, InvalidPayee(Address::ZERO.into())),
        ("payee: the factory", |t| t.payee = ARBITRARY.factory, InvalidPayee(factory.into())),
        ("payee: the token", |t| t.payee = t.token, InvalidPayee(token.into())),
        ("payee: the settler", |t| t.payee = t.settler, InvalidPayee(settler.into())),
        ("token 0", |t| t.token = Address::ZERO, InvalidToken(Address::ZERO.into())),
        ("amount 0", |t| t.amount = 0, InvalidAmount),
        ("closesAt 0", |t| t.closes_at = 0, InvalidClosesAt { closes_at: 0, latest: LATEST }),
        (
            "closesAt a second too late",
            |t| t.closes_at = LATEST + 1,
            InvalidClosesAt { closes_at: LATEST + 1, latest: LATEST },
        ),
        ("closesAt never", |t| t.closes_at = u64::MAX, InvalidClosesAt { closes_at: u64::MAX, latest: LATEST }),
        ("refundTo 0", |t| t.refund_to = Address::ZERO, InvalidRefundTo(Address::ZERO.into())),
        ("refundTo: the factory", |t| t.refund_to = ARBITRARY.factory, InvalidRefundTo(factory.into())),
        ("refundTo: the token", |t| t.refund_to = t.token, InvalidRefundTo(token.into())),
        ("flags: bit 1 is Solana's", |t| t.flags = 2, InvalidFlags(2)),
        ("flags: partials and bit 1", |t| t.flags = 3, InvalidFlags(3)),
        ("flags: bit 2", |t| t.flags = 4, InvalidFlags(4)),
        ("flags: bit 7", |t| t.flags = 128, InvalidFlags(128)),
    ];
    for (row, change, broken) in rows {
        let mut terms = typical();
        change(&mut terms);
        assert_eq!(terms.check(&HERE), Err(*broken), "{row}");
        assert!(!broken.to_string().is_empty());
    }
}

/// "The purse itself" has no row here: terms whose payee or refundTo is their own purse would be a fixed point of
/// keccak256, which nobody can make.
///
/// Without a settler, payee 0 is still refused: 0 is "nobody", not "equal to the settler".
#[test]
fn nobody_is_never_the_payee() {
    let terms = InvoiceTerms { payee: Address::ZERO, settler: Address::ZERO, ..typical() };
    assert_eq!(terms.check(&HERE), Err(BrokenRule::InvalidPayee(Address::ZERO.into())));
}

/// Sums with closesAt saturate: at the end of time every closesAt is near enough.
#[test]
fn the_latest_closes_at_saturates() {
    let end = Here { timestamp: u64::MAX - 1, ..HERE };
    assert_eq!(InvoiceTerms { closes_at: u64::MAX, ..typical() }.check(&end), Ok(()));
}

/// Where several rows are broken, the one the contract names is the one named here.
#[test]
fn the_first_broken_row_wins() {
    use BrokenRule::*;
    let mut terms = InvoiceTerms {
        version: 2,
        chain: 1,
        payee: Address::ZERO,
        token: Address::ZERO,
        amount: 0,
        closes_at: 0,
        refund_to: Address::ZERO,
        flags: 2,
        ..typical()
    };
    let mends: &[(BrokenRule, Change)] = &[
        (WrongVersion(2), |t| t.version = 1),
        (WrongChain { chain: 1, here: 8453 }, |t| t.chain = 8453),
        (InvalidFlags(2), |t| t.flags = 0),
        (InvalidAmount, |t| t.amount = 1),
        (InvalidClosesAt { closes_at: 0, latest: LATEST }, |t| t.closes_at = NOW),
        (InvalidToken(Address::ZERO.into()), |t| t.token = typical().token),
        (InvalidPayee(Address::ZERO.into()), |t| t.payee = typical().payee),
        (InvalidRefundTo(Address::ZERO.into()), |t| t.refund_to = typical().refund_to),
    ];
    for (broken, mend) in mends {
        assert_eq!(terms.check(&HERE), Err(*broken));
        mend(&mut terms);
    }
    assert_eq!(terms.check(&HERE), Ok(()));
}
