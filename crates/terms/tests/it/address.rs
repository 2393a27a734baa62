//! Every field binds the address.

use proptest::prelude::*;
use terms::{Address, B256, Deployment, InvoiceTerms};

pub(crate) fn any_terms() -> impl Strategy<Value = InvoiceTerms> {
    let address = any::<[u8; 20]>().prop_map(Address::from);
    (
        (any::<u8>(), any::<u64>(), any::<[u8; 32]>().prop_map(B256::from), address.clone(), address.clone()),
        (any::<u128>(), any::<u64>(), address.clone(), address.clone(), address, any::<u8>()),
    )
        .prop_map(
            |(
                (version, chain, invoice_id, payee, token),
                (amount, closes_at, refund_to, refund_key, settler, flags),
            )| {
                InvoiceTerms {
                    version,
                    chain,
                    invoice_id,
                    payee,
                    token,
                    amount,
                    closes_at,
                    refund_to,
                    refund_key,
                    settler,
                    flags,
                }
            },
        )
}

/// The terms with one bit of one field turned over.
fn flipped(terms: &InvoiceTerms, field: usize, bit: usize) -> InvoiceTerms {
    fn flip(bytes: &mut [u8], bit: usize) {
        let bit = bit % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    let mut terms = terms.clone();
    match field {
        0 => terms.version ^= 1 << (bit % 8),
        1 => terms.chain ^= 1 << (bit % 64),
        2 => flip(terms.invoice_id.as_mut_slice(), bit),
        3 => flip(terms.payee.as_mut_slice(), bit),
        4 => flip(terms.token.as_mut_slice(), bit),
        5 => terms.amount ^= 1 << (bit % 128),
        6 => terms.closes_at ^= 1 << (bit % 64),
        7 => flip(terms.refund_to.as_mut_slice(), bit),
        8 => flip(terms.refund_key.as_mut_slice(), bit),
        9 => flip(terms.settler.as_mut_slice(), bit),
        _ => terms.flags ^= 1 << (bit % 8),
    }
    terms
}

proptest! {
    /// `chain:X5`: there is no field that an attacker could change and keep the address.
    #[test]
    fn flipping_any_bit_of_any_field_changes_hash_and_address(terms in any_terms(), field in 0usize..11, bit in any::<usize>()) {
        let deployment = Deployment { factory: Address::repeat_byte(1), init_code_hash: B256::repeat_byte(2) };
        let other = flipped(&terms, field, bit);
        prop_assert_ne!(&terms, &other);
        prop_assert_ne!(terms.hash(), other.hash());
        prop_assert_ne!(terms.deposit_address(&deployment), other.deposit_address(&deployment));
    }

    /// The factory is part of the address too: a copy of our contract has no claim on our invoices' money.
    #[test]
    fn another_factory_or_init_code_is_another_address(terms in any_terms(), factory in any::<[u8; 20]>(), code in any::<[u8; 32]>()) {
        let deployment = Deployment { factory: Address::from(factory), init_code_hash: B256::from(code) };
        for other in [
            Deployment { factory: !deployment.factory, ..deployment },
            Deployment { init_code_hash: !deployment.init_code_hash, ..deployment },
        ] {
            prop_assert_ne!(terms.deposit_address(&deployment), terms.deposit_address(&other));
        }
    }
}
