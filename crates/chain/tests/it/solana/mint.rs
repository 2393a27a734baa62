//! The gate's mint half, by real transactions: the node checks the attestors' signatures itself.

use alloy_primitives::B256;
use chain::solana::mint::Signed;
use chain::solana::{Keypair, transaction};
use escrow_interface::mint::{Deposit, DepositMarker, MOST_ATTESTORS, MintConfig, RedeemedMarker, Reserve, Settings};
use escrow_interface::{LOCAL, NONE};
use terms::{Pubkey, SolanaTerms};
use test_chain::solana::{SOL, new_key};

use super::surfpool;

const AMOUNT: u64 = 1_000_000;

fn sign(attestors: &[Keypair], message: &[u8; 32]) -> Vec<Signed> {
    attestors.iter().map(|key| Signed { key: key.address(), signature: key.sign(message) }).collect()
}

#[tokio::test]
async fn a_deposit_is_minted_into_its_invoice_and_a_redemption_is_burned() {
    let node = surfpool().await;
    let bank = node.wallet(100 * SOL).await.unwrap();
    let (settler, guardian) = (node.wallet(SOL).await.unwrap(), new_key().unwrap());
    let (escrow, gate) = node.deploy_ours(&bank, &settler.address(), &guardian.address()).await.unwrap();
    let mut attestors = [new_key().unwrap(), new_key().unwrap()];
    attestors.sort_by_key(|key| key.address().to_bytes());
    let mut keys = [NONE; MOST_ATTESTORS];
    keys.iter_mut().zip(&attestors).for_each(|(place, key)| *place = key.address().to_bytes());
    let settings = Settings {
        admin: bank.address().to_bytes(),
        guardian: guardian.address().to_bytes(),
        attestors: keys,
        daily_cap: 10 * AMOUNT,
        attestor_count: 2,
        threshold: 2,
        paused: 0,
        reserved: [0; 5],
    };
    let (mint, minter) = node.open_mint(&bank, escrow, gate, &settings).await.unwrap();
    let now = async || node.time().await.unwrap();
    let reserve = Reserve { allocation: 5 * AMOUNT, nonce: 1, as_of: now().await };
    let said = sign(&attestors, &minter.reserve_message(&reserve));
    node.send(&minter.attest_reserve(&reserve, &said), &[&bank]).await.unwrap();

    let closes_at = (now().await + 86_400).unsigned_abs();
    let drawn = |payee: Pubkey| {
        let mut terms = SolanaTerms {
            version: 1,
            chain: LOCAL,
            invoice_id: B256::ZERO,
            payee,
            token: mint.address,
            amount: AMOUNT,
            closes_at,
            refund_to: bank.address(),
            refund_key: Pubkey::default(),
            settler: gate.settler,
            flags: 0,
        };
        terms.draw(&escrow.program, || new_key().map(|key| B256::new(key.address().to_bytes()))).unwrap();
        terms
    };
    let payee = node.wallet(SOL).await.unwrap();
    node.create_token_account(&bank, &payee.address(), &mint).await.unwrap();
    let terms = drawn(payee.address());
    let deposit = Deposit { id: [7; 32], amount: AMOUNT, valid_until: now().await + 600 };
    let message = minter.deposit_message(&terms.hash().0, &deposit);
    // Carried in any order, and not with a signature of somebody else.
    let mut signed = sign(&attestors, &message);
    signed.reverse();
    let forged = [signed[0], Signed { key: signed[1].key, signature: bank.sign(&message) }];
    let ask = |signed: &[Signed]| minter.mint_and_pay(bank.address(), &terms, &deposit, signed).unwrap();
    assert!(node.send(&ask(&forged), &[&bank]).await.is_err());
    assert!(node.send(&ask(&signed[..1]), &[&bank]).await.is_err());
    let bytes = node.sign(&ask(&signed), &[&bank]).await.unwrap();
    assert!(bytes.raw.len() <= transaction::MAX_BYTES, "{} bytes", bytes.raw.len());
    node.send(&ask(&signed), &[&bank]).await.unwrap();
    assert_eq!(node.tokens(&mint.account_of(&payee.address())).await.unwrap(), AMOUNT);
    let marker = node.data(&minter.deposit_marker(&deposit.id)).await.unwrap();
    assert_eq!(marker.and_then(|data| DepositMarker::decode(&data)).unwrap().terms_hash, terms.hash().0);

    // Cashed out: paid to the redemption address, settled through the gate, burned by anyone.
    let asked = drawn(minter.redemption);
    let invoice = escrow.invoice(&asked).unwrap();
    node.send(&[invoice.open_vault(bank.address())], &[&bank]).await.unwrap();
    node.transfer(&payee, &invoice.addresses.invoice, &mint, AMOUNT).await.unwrap();
    let settle = gate.pass(settler.address(), invoice.settle(settler.address()));
    node.send(&[settle], &[&settler]).await.unwrap();
    node.send(&[minter.redeem(payee.address(), &asked).unwrap()], &[&payee]).await.unwrap();
    let supply = node.data(&mint.address).await.unwrap().unwrap();
    assert_eq!(supply[36..44], [0; 8]);
    let marker = node.data(&minter.redeemed_marker(&asked.hash().0)).await.unwrap();
    assert_eq!(marker.and_then(|data| RedeemedMarker::decode(&data)).unwrap().amount, AMOUNT);

    // Lowered by the guardian, at once.
    let lower = minter.lower(guardian.address(), true, None, Some(attestors[0].address()));
    node.send(&[lower], &[&bank, &guardian]).await.unwrap();
    let config = node.data(&minter.config).await.unwrap();
    let config = config.and_then(|data| MintConfig::decode(&data)).unwrap();
    assert_eq!((config.settings.paused, config.settings.attestors().len()), (1, 1));
}
