//! Anchor's Rust client drives the compiled program on Surfpool, and knows of it what the committed IDL says.

use anchor_client::{
    Program, Signer,
    anchor_lang::{AnchorDeserialize, AnchorSerialize, Discriminator, prelude::Pubkey},
};
use anchor_drive::{
    invoice_escrow::{self as escrow, accounts::Record, client, events::Recorded, types::Terms},
    net::Net,
    tokens::{self, ASSOCIATED_TOKEN_PROGRAM, TOKEN_PROGRAM, associated},
};
use anchor_lang::solana_program::system_program;
use sha2::{Digest, Sha256};
use solana_keypair::{Keypair, Signature};
use solana_rpc_client_api::request::RpcRequest;
use std::{rc::Rc, time::SystemTime};

const AMOUNT: u64 = 1_000_000;

/// What a record says of an invoice that is settled.
const SETTLED: u8 = 1;

/// An invoice on a network of its own, and who plays a part.
struct Scene {
    program: Program<Rc<Keypair>>,
    keeper: Rc<Keypair>,
    customer: Keypair,
    terms: Terms,
    hash: [u8; 32],
    invoice: Pubkey,
    record: Pubkey,
    event_authority: Pubkey,
    // Goes last.
    _net: Net,
}

impl Scene {
    /// The customer has the amount twice, the payee an account for it.
    fn set() -> Self {
        let net = Net::start();
        let (program, keeper) = (net.escrow(), net.keeper.clone());
        let (mint, customer, payee, refund_to) =
            (Keypair::new(), Keypair::new(), Pubkey::new_unique(), Pubkey::new_unique());

        let rent = program.rpc().get_minimum_balance_for_rent_exemption(tokens::MINT_BYTES).unwrap();
        let [create, initialize] = tokens::create_mint(&keeper.pubkey(), &mint.pubkey(), rent);
        program.request().instruction(create).instruction(initialize).signer(&mint).send().unwrap();
        let mint = mint.pubkey();
        let (wallet, _) = associated(&customer.pubkey(), &mint);
        let scene = program.request().instruction(tokens::open(&keeper.pubkey(), &payee, &mint));
        let scene = scene.instruction(tokens::open(&keeper.pubkey(), &customer.pubkey(), &mint));
        scene.instruction(tokens::mint_to(&keeper.pubkey(), &mint, &wallet, 2 * AMOUNT)).send().unwrap();

        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let terms = Terms {
            version: 1,
            chain: u64::from_le_bytes(*b"monaylcl"),
            invoice_id: [0; 32],
            payee,
            token: mint,
            amount: AMOUNT,
            closes_at: i64::try_from(now).unwrap() + 86_400,
            refund_to,
            refund_key: Pubkey::default(),
            // Anyone.
            settler: Pubkey::default(),
            flags: 0,
        };
        let (terms, hash, invoice, record) = issue(terms);
        let (event_authority, _) = Pubkey::find_program_address(&[b"__event_authority"], &escrow::ID);
        Self { program, keeper, customer, terms, hash, invoice, record, event_authority, _net: net }
    }

    /// What lies in an owner's token account.
    fn tokens(&self, owner: &Pubkey) -> u64 {
        let (account, _) = associated(owner, &self.terms.token);
        self.program.rpc().get_token_account_balance(&account).unwrap().amount.parse().unwrap()
    }

    fn lamports(&self, account: &Pubkey) -> u64 {
        self.program.rpc().get_balance(account).unwrap()
    }

    /// A transaction as the node has it.
    fn transaction(&self, signature: Signature) -> serde_json::Value {
        let options =
            serde_json::json!({"commitment": "confirmed", "encoding": "json", "maxSupportedTransactionVersion": 0});
        let asked = serde_json::json!([signature.to_string(), options]);
        self.program.rpc().send(RpcRequest::GetTransaction, asked).unwrap()
    }

    /// What its sender paid, lamports.
    fn fee(&self, signature: Signature) -> u64 {
        self.transaction(signature)["meta"]["fee"].as_u64().unwrap()
    }

    /// The events among a transaction's inner instructions: each is a call of the program by itself.
    fn events(&self, signature: Signature) -> Vec<Recorded> {
        let got = self.transaction(signature);
        let inner = got["meta"]["innerInstructions"].as_array().unwrap().iter();
        let calls = inner.flat_map(|inner| inner["instructions"].as_array().unwrap());
        let data = calls.map(|call| bs58::decode(call["data"].as_str().unwrap()).into_vec().unwrap());
        data.filter_map(|data| {
            let event =
                data.strip_prefix(anchor_lang::event::EVENT_IX_TAG_LE)?.strip_prefix(Recorded::DISCRIMINATOR)?;
            Some(Recorded::try_from_slice(event).unwrap())
        })
        .collect()
    }

    /// After the one settlement: what the record says, and the event.
    fn is_settled(&self, signature: Signature) {
        let record: Record = self.program.account(self.record).unwrap();
        assert_eq!((record.version, record.status, record.paid), (1, SETTLED, AMOUNT));
        assert_eq!(record.terms_hash, self.hash);
        assert_eq!((record.rent_payer, record.rent_lamports), (self.keeper.pubkey(), self.lamports(&self.record)));
        assert_eq!(self.tokens(&self.terms.payee), AMOUNT);

        let [event] = self.events(signature).try_into().unwrap_or_else(|_| panic!("not one event"));
        assert_eq!((event.terms_hash, event.token, event.to), (self.hash, self.terms.token, self.terms.payee));
        assert_eq!((event.amount, event.paid, event.status), (AMOUNT, AMOUNT, SETTLED));
        assert_eq!(event.since, record.since);
    }
}

/// Draws invoice ids until the addresses exist at bump 255, as an issuer does: terms, hash, invoice and record.
fn issue(mut terms: Terms) -> (Terms, [u8; 32], Pubkey, Pubkey) {
    for counter in 0u64.. {
        terms.invoice_id = Sha256::digest([terms.token.as_ref(), &counter.to_le_bytes()].concat()).into();
        let mut bytes = b"monay:terms:v1".to_vec();
        terms.serialize(&mut bytes).unwrap();
        let hash: [u8; 32] = Sha256::digest(bytes).into();
        let derived = |seed: &[u8]| Pubkey::create_program_address(&[seed, &hash, &[255]], &escrow::ID);
        if let (Ok(invoice), Ok(record)) = (derived(b"invoice"), derived(b"record")) {
            return (terms, hash, invoice, record);
        }
    }
    unreachable!("one in 4.4 fits")
}

/// The vault is made and paid into, anybody settles, and the rent of the vault comes back.
#[test]
fn anchors_rust_client_settles_an_invoice_through_the_idl() {
    let scene = Scene::set();
    let (terms, keeper) = (&scene.terms, scene.keeper.pubkey());
    let ((vault, vault_bump), (destination, destination_bump)) =
        (associated(&scene.invoice, &terms.token), associated(&terms.payee, &terms.token));

    let opened = scene.program.request().accounts(client::accounts::OpenVault {
        rent_payer: keeper,
        invoice: scene.invoice,
        record: scene.record,
        vault,
        mint: terms.token,
        token_program: TOKEN_PROGRAM,
        associated_token_program: ASSOCIATED_TOKEN_PROGRAM,
        system_program: system_program::ID,
    });
    opened.args(client::args::OpenVault { terms: terms.clone() }).send().unwrap();
    let (rent, mint_to) = (scene.lamports(&vault), tokens::mint_to(&keeper, &terms.token, &vault, AMOUNT));
    scene.program.request().instruction(mint_to).send().unwrap();
    assert_eq!(scene.tokens(&scene.invoice), AMOUNT);

    let settle = || {
        let asked = scene.program.request().accounts(client::accounts::Settle {
            rent_payer: keeper,
            settler: keeper,
            invoice: scene.invoice,
            record: scene.record,
            vault,
            destination,
            mint: terms.token,
            token_program: TOKEN_PROGRAM,
            event_authority: scene.event_authority,
            program: escrow::ID,
            system_program: system_program::ID,
        });
        asked.args(client::args::Settle { terms: terms.clone(), vault_bump, destination_bump }).send()
    };
    let signature = settle().unwrap();
    scene.is_settled(signature);
    assert_eq!(scene.tokens(&scene.invoice), 0);

    // A second time it is refused, with the name that the IDL has for it.
    let refused = settle().unwrap_err().to_string();
    let code = u32::from(escrow::error::InvoiceEscrowError::NotOpen);
    assert!(refused.contains(&format!("{code:#x}")), "{code:#x}: {refused}");

    let before = scene.lamports(&keeper);
    let closed = scene.program.request().accounts(client::accounts::CloseVault {
        invoice: scene.invoice,
        record: scene.record,
        vault,
        vault_payer: keeper,
        refund_to: terms.refund_to,
        mint: terms.token,
        token_program: TOKEN_PROGRAM,
    });
    let signature = closed.args(client::args::CloseVault { terms: terms.clone(), vault_bump }).send().unwrap();
    assert_eq!(scene.lamports(&vault), 0);
    assert_eq!(scene.lamports(&keeper), before + rent - scene.fee(signature));
    assert_eq!(scene.lamports(&terms.refund_to), 0);
}

/// A customer pays from his own wallet.
#[test]
fn anchors_rust_client_pays_an_invoice_through_the_idl() {
    let scene = Scene::set();
    let (terms, keeper, customer) = (&scene.terms, scene.keeper.pubkey(), scene.customer.pubkey());
    let (source, _) = associated(&customer, &terms.token);
    let (destination, destination_bump) = associated(&terms.payee, &terms.token);
    let asked = scene.program.request().accounts(client::accounts::Pay {
        rent_payer: keeper,
        settler: keeper,
        payer: customer,
        source,
        invoice: scene.invoice,
        record: scene.record,
        destination,
        mint: terms.token,
        token_program: TOKEN_PROGRAM,
        event_authority: scene.event_authority,
        program: escrow::ID,
        system_program: system_program::ID,
    });
    let asked = asked.args(client::args::Pay { terms: terms.clone(), ceiling: 2 * AMOUNT, destination_bump });
    let signature = asked.signer(&scene.customer).send().unwrap();
    scene.is_settled(signature);
    // What is due, and not all he was ready to pay.
    assert_eq!(scene.tokens(&customer), AMOUNT);
}
