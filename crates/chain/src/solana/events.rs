//! What in a block could concern an invoice: what our program has told, and tokens that came.
//!
//! **Told** is an instruction of the program to itself with its event authority as first account. Nobody can forge one: the
//! authority is an address that only the program can sign for, and a transaction in which somebody else tries fails as a whole.
//!
//! **Tokens that came** are read off the balances that the runtime itself has measured before and after each transaction,
//! not off instructions. There are many ways for tokens to move (two token programs, transfers with and without checks, fees,
//! minting, batches, programs that call programs), and whoever reads instructions is fooled by the one he does not know. The
//! difference cannot say that the same transaction has also taken something out: a payer may deposit and have it settled at
//! once. Out of an account of the invoice only the escrow moves anything, and tells how much; that is added, by account.

use crate::Error;
use crate::solana::block::{RawBalance, RawInstruction, Traces, Transaction};
use crate::solana::instructions::Escrow;
use escrow_interface::Recorded;
use escrow_interface::event::TAG;
use escrow_interface::instruction::{self, Tag};
use std::collections::BTreeMap;
use terms::Pubkey;
use terms::solana::associated_token;

/// Something that happened in a transaction that worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the block, unique there and in order: [`place`].
    pub index: u64,
    /// Its transaction.
    pub signature: [u8; 64],
    /// What it means.
    pub meaning: Meaning,
}

/// What an event means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The escrow has recorded something.
    Recorded(Recorded),
    /// The escrow has told something that cannot be read: its data.
    Odd(Vec<u8>),
    /// Tokens came to an address that nobody has a key to.
    Received(Received),
}

/// Tokens that came in one transaction, all movements together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Whose they are now.
    pub owner: Pubkey,
    /// Where they lie.
    pub account: Pubkey,
    /// Whether that is the owner's associated token account: only from there anything is settled.
    pub vault: bool,
    /// The mint.
    pub mint: Pubkey,
    /// Its program.
    pub token_program: Pubkey,
    /// How much, base units.
    pub amount: u64,
    /// Whose they were, if all of this mint that left an account in the transaction was of one owner.
    pub from: Option<Pubkey>,
}

/// An event's place in its block: 40 bits for the transaction's, 16 for the instruction's, 8 for the inner one's. Tokens that
/// came are at instruction 0, by the account's place, because they have to come before they can go; what was told by inner
/// instruction `j` of instruction `i` is at (i + 1, j + 1).
fn place(transaction: usize, instruction: usize, inner: usize) -> Result<u64, Error> {
    let fit = |number: usize, bits: u32| {
        let number = u64::try_from(number).ok().filter(|number| number >> bits == 0);
        number.ok_or_else(|| Error::Nonsense("a block with more in it than any can have".to_owned()))
    };
    Ok(fit(transaction, 39)? << 24 | fit(instruction, 16)? << 8 | fit(inner, 8)?)
}

/// What happened in the block at a slot, in order.
pub fn read(slot: u64, transactions: &[Transaction], escrow: &Escrow) -> Result<Vec<Event>, Error> {
    let mut events = Vec::new();
    for (position, transaction) in
        transactions.iter().enumerate().filter(|(_, transaction)| transaction.outcome.success)
    {
        of_transaction(position, transaction, escrow, &mut events)
            .map_err(|why| Error::Nonsense(format!("transaction {position} of block {slot}: {why}")))?;
    }
    Ok(events)
}

fn of_transaction(
    position: usize,
    transaction: &Transaction,
    escrow: &Escrow,
    events: &mut Vec<Event>,
) -> Result<(), Error> {
    let traces = &transaction.traces;
    let signature = transaction.signature;
    let (told, out) = told(traces, escrow)?;
    for (account, received) in received(traces, &out)? {
        events.push(Event { index: place(position, 0, account)?, signature, meaning: Meaning::Received(received) });
    }
    for (instruction, inner, meaning) in told {
        events.push(Event { index: place(position, instruction + 1, inner + 1)?, signature, meaning });
    }
    Ok(())
}

/// What a transaction's instruction told, and which one of it.
type Told = (usize, usize, Meaning);

/// What left accounts of invoices, by the account's place.
type Out = BTreeMap<usize, u128>;

/// What the escrow told, and what it moved out of which account.
fn told(traces: &Traces, escrow: &Escrow) -> Result<(Vec<Told>, Out), Error> {
    let (mut told, mut out) = (Vec::new(), Out::new());
    let is = |place: usize, key: &Pubkey| traces.accounts.get(place).is_some_and(|account| account.0 == key.to_bytes());
    if !traces.accounts.iter().any(|account| account.0 == escrow.program.to_bytes()) {
        return Ok((told, out));
    }
    for group in &traces.inner {
        let top = traces.instructions.get(group.index);
        let top = top.ok_or_else(|| Error::Nonsense("inner instructions of no instruction".to_owned()))?;
        // Who has called whom: the last one at each height.
        let mut stack: Vec<&RawInstruction> = vec![top];
        for (inner, instruction) in group.instructions.iter().enumerate() {
            let height = instruction.stack_height.and_then(|height| usize::try_from(height).ok());
            let height = height.filter(|height| (2..=stack.len() + 1).contains(height));
            let height =
                height.ok_or_else(|| Error::Nonsense("inner instructions without their heights".to_owned()))?;
            stack.truncate(height - 1);
            let caller = stack.last().copied();
            stack.push(instruction);
            let ours = is(instruction.program_id_index, &escrow.program)
                && instruction.accounts.first().is_some_and(|first| is(*first, &escrow.event_authority));
            let Some(caller) = caller.filter(|caller| ours && is(caller.program_id_index, &escrow.program)) else {
                continue;
            };
            let data = bytes(&instruction.data)?;
            if !data.starts_with(&TAG) {
                continue;
            }
            let meaning = Recorded::decode(&data).map_or(Meaning::Odd(data), Meaning::Recorded);
            if let (Meaning::Recorded(event), Some(source)) = (&meaning, source(caller)?) {
                let sum = out.entry(source).or_default();
                *sum = sum.saturating_add(event.amount.into());
            }
            told.push((group.index, inner, meaning));
        }
    }
    Ok((told, out))
}

/// The account of the invoice that an instruction of the escrow takes tokens from, if it takes any.
fn source(instruction: &RawInstruction) -> Result<Option<usize>, Error> {
    let data = bytes(&instruction.data)?;
    let place = match data.first().and_then(|tag| Tag::from_u8(*tag)) {
        Some(Tag::Settle) => instruction::settle::VAULT,
        Some(Tag::Refund | Tag::RefundByKey) => instruction::refund::SOURCE,
        _ => return Ok(None),
    };
    Ok(instruction.accounts.get(place).copied())
}

/// A token account before and after a transaction.
struct Change<'a> {
    before: u128,
    after: u128,
    balance: &'a RawBalance,
}

/// What came to addresses that nobody has a key to, by the account's place.
fn received(traces: &Traces, out: &Out) -> Result<Vec<(usize, Received)>, Error> {
    let mut changes: BTreeMap<usize, Change<'_>> = BTreeMap::new();
    for balance in &traces.before {
        changes.insert(balance.account_index, Change { before: amount(balance)?, after: 0, balance });
    }
    for balance in &traces.after {
        let after = amount(balance)?;
        let change = changes.entry(balance.account_index).or_insert(Change { before: 0, after, balance });
        // What was somebody else's, or other tokens, was not here before.
        if (change.balance.owner, change.balance.mint) != (balance.owner, balance.mint) {
            change.before = 0;
        }
        (change.after, change.balance) = (after, balance);
    }
    let mut received = Vec::new();
    for (account, change) in &changes {
        let left = out.get(account).copied().unwrap_or(0);
        let came = change.after.saturating_add(left).saturating_sub(change.before);
        if came == 0 {
            continue;
        }
        let (Some(owner), Some(program)) = (change.balance.owner, change.balance.program_id) else {
            return Err(Error::Nonsense("token balances without owner or program: use a newer node".to_owned()));
        };
        let [owner, mint, token_program] =
            [owner, change.balance.mint, program].map(|key| Pubkey::new_from_array(key.0));
        if owner.is_on_curve() {
            continue;
        }
        let address = traces.accounts.get(*account);
        let address = address.ok_or_else(|| Error::Nonsense("a token balance of no account".to_owned()))?;
        let address = Pubkey::new_from_array(address.0);
        received.push((
            *account,
            Received {
                owner,
                account: address,
                vault: associated_token(&owner, &mint, &token_program).0 == address,
                mint,
                token_program,
                amount: u64::try_from(came).map_err(|_| Error::Nonsense("more tokens than there can be".to_owned()))?,
                from: payer(&changes, &change.balance.mint.0, &owner),
            },
        ));
    }
    Ok(received)
}

/// The one owner other than `to` whose tokens of this mint became less.
fn payer(changes: &BTreeMap<usize, Change<'_>>, mint: &[u8; 32], to: &Pubkey) -> Option<Pubkey> {
    let less = changes.values().filter(|change| change.balance.mint.0 == *mint && change.after < change.before);
    let owners = less.filter_map(|change| change.balance.owner).map(|owner| Pubkey::new_from_array(owner.0));
    let mut owners = owners.filter(|owner| owner != to);
    let first = owners.next()?;
    owners.all(|owner| owner == first).then_some(first)
}

fn amount(balance: &RawBalance) -> Result<u128, Error> {
    let amount: Result<u64, _> = balance.ui_token_amount.amount.parse();
    amount.map(u128::from).map_err(|_| Error::Nonsense("a token balance that is no number".to_owned()))
}

fn bytes(base58: &str) -> Result<Vec<u8>, Error> {
    bs58::decode(base58).into_vec().map_err(|error| Error::Nonsense(format!("an instruction's data: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solana::block::{RawAmount, RawInner};
    use crate::solana::rpc::Base58;
    use domain::block::Outcome;
    use escrow_interface::address::TOKEN_PROGRAM;
    use escrow_interface::event::Kind;
    use escrow_interface::instruction::{refund, settle};
    use proptest::prelude::*;

    // Places in the list of accounts of every transaction here.
    const ESCROW: usize = 0;
    const AUTHORITY: usize = 1;
    const STRANGER: usize = 2;
    const VAULT: usize = 3;
    const OTHER: usize = 4;
    const PAYER: usize = 5;

    fn escrow() -> Escrow {
        Escrow::at(Pubkey::new_from_array(escrow_interface::local::ESCROW)).unwrap()
    }

    fn invoice() -> Pubkey {
        escrow().event_authority
    }

    fn mint() -> Pubkey {
        Pubkey::new_from_array([9; 32])
    }

    fn vault() -> Pubkey {
        associated_token(&invoice(), &mint(), &Pubkey::new_from_array(TOKEN_PROGRAM)).0
    }

    fn accounts() -> Vec<Base58<32>> {
        let stranger = Pubkey::new_from_array([8; 32]);
        let [other, payer] = [[6; 32], [5; 32]].map(Pubkey::new_from_array);
        let all = [escrow().program, escrow().event_authority, stranger, vault(), other, payer];
        all.map(|key| Base58(key.to_bytes())).to_vec()
    }

    fn instruction(program: usize, accounts: Vec<usize>, data: &[u8], height: Option<u32>) -> RawInstruction {
        let data = bs58::encode(data).into_string();
        RawInstruction { program_id_index: program, accounts, data, stack_height: height }
    }

    fn told(kind: Kind, amount: u64) -> Recorded {
        Recorded {
            terms_hash: [1; 32],
            token: [9; 32],
            to: [2; 32],
            amount,
            paid: 0,
            since: 0,
            kind: kind as u8,
            status: 0,
        }
    }

    fn event(program: usize, first: usize, told: &Recorded, height: u32) -> RawInstruction {
        instruction(program, vec![first], &told.encode(), Some(height))
    }

    /// An instruction of the escrow that takes from `source`.
    fn taking(tag: Tag, source: usize, height: Option<u32>) -> RawInstruction {
        let place = if tag == Tag::Settle { settle::VAULT } else { refund::SOURCE };
        let mut accounts = vec![STRANGER; 12];
        accounts[place] = source;
        instruction(ESCROW, accounts, &[tag as u8], height)
    }

    fn balance(account: usize, owner: Pubkey, amount: u64) -> RawBalance {
        RawBalance {
            account_index: account,
            mint: Base58(mint().to_bytes()),
            owner: Some(Base58(owner.to_bytes())),
            program_id: Some(Base58(TOKEN_PROGRAM)),
            ui_token_amount: RawAmount { amount: amount.to_string() },
        }
    }

    fn transaction(
        top: RawInstruction,
        inner: Vec<RawInstruction>,
        before: Vec<RawBalance>,
        after: Vec<RawBalance>,
    ) -> Transaction {
        let inner = vec![RawInner { index: 0, instructions: inner }];
        let traces = Traces { accounts: accounts(), instructions: vec![top], inner, before, after };
        Transaction { signature: [7; 64], outcome: Outcome { success: true, gas_used: 0, fee: 0 }, traces }
    }

    fn meanings(transaction: Transaction) -> Vec<Meaning> {
        let events = read(1, &[transaction], &escrow()).unwrap();
        events.into_iter().map(|event| event.meaning).collect()
    }

    fn came(meanings: &[Meaning]) -> u64 {
        let came = meanings.iter().filter_map(|meaning| match meaning {
            Meaning::Received(received) if received.vault => Some(received.amount),
            _ => None,
        });
        came.sum()
    }

    #[test]
    fn only_what_the_escrow_tells_itself_is_told() {
        let told = told(Kind::Settled, 5);
        let settle = || taking(Tag::Settle, VAULT, None);
        let ours = |top, inner| meanings(transaction(top, inner, vec![], vec![balance(VAULT, invoice(), 0)]));
        let real = Meaning::Recorded(told.clone());
        // By the escrow itself, at the top or below a gate.
        assert!(ours(settle(), vec![event(ESCROW, AUTHORITY, &told, 2)]).contains(&real));
        let gate = instruction(STRANGER, vec![], &[0], None);
        let below = vec![taking(Tag::Settle, VAULT, Some(2)), event(ESCROW, AUTHORITY, &told, 3)];
        assert!(ours(gate.clone(), below).contains(&real));
        for (what, top, inner) in [
            ("another program says so", settle(), vec![event(STRANGER, AUTHORITY, &told, 2)]),
            ("another account comes first", settle(), vec![event(ESCROW, STRANGER, &told, 2)]),
            ("another program asks the escrow to", gate, vec![event(ESCROW, AUTHORITY, &told, 2)]),
            (
                "the escrow calls another that does",
                settle(),
                vec![instruction(STRANGER, vec![], &[], Some(2)), event(ESCROW, AUTHORITY, &told, 3)],
            ),
            ("it stands at the top", event(ESCROW, AUTHORITY, &told, 1), vec![]),
            ("it is another call of itself", settle(), vec![instruction(ESCROW, vec![AUTHORITY], &[0, 1], Some(2))]),
        ] {
            assert_eq!(ours(top, inner), [], "{what}");
        }
        // What it tells in words we do not know is kept for a person to look at.
        let unknown = [&TAG[..], &[1, 2, 3]].concat();
        let odd = ours(settle(), vec![instruction(ESCROW, vec![AUTHORITY], &unknown, Some(2))]);
        assert_eq!(odd, [Meaning::Odd(unknown)]);
    }

    #[test]
    fn a_trace_without_heights_is_refused_and_a_failed_transaction_is_nothing() {
        let told = told(Kind::Settled, 5);
        let mut event = event(ESCROW, AUTHORITY, &told, 2);
        event.stack_height = None;
        let mut transaction = transaction(taking(Tag::Settle, VAULT, None), vec![event], vec![], vec![]);
        assert!(read(1, std::slice::from_ref(&transaction), &escrow()).is_err());
        transaction.outcome.success = false;
        assert_eq!(read(1, &[transaction], &escrow()).unwrap(), []);
    }

    #[test]
    fn an_account_that_changes_hands_has_come_whole_and_is_no_vault() {
        let person = Pubkey::new_from_array([5; 32]);
        let given = transaction(
            instruction(STRANGER, vec![], &[], None),
            vec![],
            vec![balance(OTHER, person, 40)],
            vec![balance(OTHER, invoice(), 40)],
        );
        let all = meanings(given);
        assert!(
            matches!(&all[..], [Meaning::Received(received)] if received.amount == 40 && !received.vault),
            "{all:?}"
        );
    }

    #[test]
    fn places_are_in_order_and_fit_where_they_are_stored() {
        let places = [place(0, 0, 0), place(0, 0, 255), place(0, 1, 1), place(0, 1, 2), place(0, 2, 0), place(1, 0, 0)];
        let places = places.map(Result::unwrap);
        assert!(places.is_sorted_by(|a, b| a < b));
        assert!(i64::try_from(place((1 << 39) - 1, 65_535, 255).unwrap()).is_ok());
        assert!(place(0, 0, 256).is_err() && place(0, 65_536, 0).is_err() && place(1 << 39, 0, 0).is_err());
    }

    /// What may happen to an invoice in one transaction: deposits, and what the escrow takes out of vault or other account.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Deposit(u64),
        Settle(u64),
        Refund(u64),
        Beside(u64),
        RefundBeside(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = (0..5_u8, 1..1_000_000_u64).prop_map(|(kind, amount)| match kind {
            0 => Step::Deposit(amount),
            1 => Step::Settle(amount),
            2 => Step::Refund(amount),
            3 => Step::Beside(amount),
            _ => Step::RefundBeside(amount),
        });
        proptest::collection::vec(step, 0..12)
    }

    proptest! {
        /// Whatever comes and goes in one transaction, what came into the vault is the sum of the deposits, and nothing else.
        #[test]
        fn what_came_is_the_sum_of_all_deposits(steps in steps(), (vault, beside) in (0..1_000_000_u64, 0..1_000_000_u64)) {
            let (mut at_vault, mut at_other, mut deposits) = (vault, beside, 0);
            let mut inner = vec![];
            let mut take = |tag, kind, source, amount| {
                inner.push(taking(tag, source, Some(2)));
                inner.push(event(ESCROW, AUTHORITY, &told(kind, amount), 3));
            };
            for step in steps {
                match step {
                    Step::Deposit(amount) => (at_vault, deposits) = (at_vault + amount, deposits + amount),
                    Step::Beside(amount) => at_other += amount,
                    Step::Settle(amount) if amount <= at_vault => {
                        at_vault -= amount;
                        take(Tag::Settle, Kind::Settled, VAULT, amount);
                    }
                    Step::Refund(amount) if amount <= at_vault => {
                        at_vault -= amount;
                        take(Tag::Refund, Kind::Refunded, VAULT, amount);
                    }
                    Step::RefundBeside(amount) if amount <= at_other => {
                        at_other -= amount;
                        take(Tag::RefundByKey, Kind::RefundedByKey, OTHER, amount);
                    }
                    _ => {}
                }
            }
            let payer = Pubkey::new_from_array([5; 32]);
            let before = vec![balance(VAULT, invoice(), vault), balance(OTHER, invoice(), beside), balance(PAYER, payer, 1 << 40)];
            let after = vec![balance(VAULT, invoice(), at_vault), balance(OTHER, invoice(), at_other), balance(PAYER, payer, 0)];
            let top = instruction(STRANGER, vec![], &[], None);
            prop_assert_eq!(came(&meanings(transaction(top, inner, before, after))), deposits);
        }
    }
}
