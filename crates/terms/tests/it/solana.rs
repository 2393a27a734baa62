//! The same invoice on Solana.

use proptest::prelude::*;
use terms::solana::SolanaTerms;
use terms::{Account, B256, Pubkey, Terms};

/// USDC on Solana.
const USDC: Pubkey = Pubkey::from_str_const("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v");

/// 150 USDC on a local network, one settler, the whole amount or nothing.
pub(crate) fn typical() -> SolanaTerms {
    SolanaTerms {
        version: 1,
        chain: escrow_interface::LOCAL,
        invoice_id: crate::typical().invoice_id,
        payee: Pubkey::new_from_array([0x11; 32]),
        token: USDC,
        amount: 150_000_000,
        closes_at: 1_798_761_600,
        refund_to: Pubkey::new_from_array([0x2f; 32]),
        refund_key: Pubkey::new_from_array([0x58; 32]),
        settler: Pubkey::new_from_array([0x73; 32]),
        flags: 0,
    }
}

pub(crate) fn any_terms() -> impl Strategy<Value = SolanaTerms> {
    let key = any::<[u8; 32]>().prop_map(Pubkey::new_from_array);
    (
        (any::<u8>(), any::<u64>(), any::<[u8; 32]>().prop_map(B256::from), key.clone(), key.clone()),
        (any::<u64>(), any::<u64>(), key.clone(), key.clone(), key, any::<u8>()),
    )
        .prop_map(
            |(
                (version, chain, invoice_id, payee, token),
                (amount, closes_at, refund_to, refund_key, settler, flags),
            )| {
                SolanaTerms {
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

#[test]
fn terms_of_any_chain_answer_alike() {
    let evm = crate::typical();
    let any = Terms::from(evm.clone());
    assert_eq!((any.chain(), any.hash(), any.invoice_id()), (evm.chain, evm.hash(), evm.invoice_id));
    assert_eq!([any.payee(), any.token()], [Account::Evm(evm.payee), Account::Evm(evm.token)]);
    assert_eq!([any.refund_to(), any.refund_key()], [Account::Evm(evm.refund_to), Account::Evm(evm.refund_key)]);
    assert_eq!((any.settler(), any.amount()), (Account::Evm(evm.settler), evm.amount));
    assert_eq!((any.closes_at(), any.flags(), any.partials()), (evm.closes_at, 0, false));
    assert_eq!((any.evm(), any.solana()), (Some(&evm), None));

    let solana = SolanaTerms { flags: 3, ..typical() };
    let any = Terms::from(solana.clone());
    assert_eq!((any.chain(), any.hash(), any.invoice_id()), (solana.chain, solana.hash(), solana.invoice_id));
    assert_eq!([any.payee(), any.token()], [Account::Solana(solana.payee), Account::Solana(solana.token)]);
    assert_eq!([any.refund_to(), any.refund_key()], [solana.refund_to, solana.refund_key].map(Account::Solana));
    assert_eq!((any.settler(), any.amount()), (Account::Solana(solana.settler), solana.amount.into()));
    assert_eq!((any.closes_at(), any.flags(), any.partials()), (solana.closes_at, 3, true));
    assert_eq!((any.evm(), any.solana()), (None, Some(&solana)));
}
