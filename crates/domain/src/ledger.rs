//! The books: the chart of accounts, and what each event of money does to it, as tables.
//!
//! Double entry, in two **funds**. What belongs to those who hold tokens (the reserve, and everything it owes) is one; what is
//! ours (own capital, fees, what customers and providers owe us) is the other. **Every transfer balances in each fund by
//! itself**, so that no entry, right or wrong, can make the reserve look whole with money of ours or the other way round:
//!
//! reserve + reserve deficit = token liability + mintable + in transfer + redemptions payable + payouts in transit
//!
//! holds after every transfer (`money:I2`, with what is missing in a named account, never a clamp at zero), and Postgres
//! refuses a transfer that breaks it. Money moves between the funds only as cash against what it is for.
//!
//! What stands at a bank is the sum of three accounts of that bank: `bank_cash` (ours, free), `reserve` and `loss_reserve` (ours, set
//! aside). Moving money between these three is a decision and no payment. Amounts are base units, 10⁻⁶ of a dollar.

use crate::money::Units;
use crate::words;
use std::collections::BTreeMap;
use std::fmt;

words! {
    /// Whose money an account is about.
    Fund {
        /// That of those who hold tokens, or are about to, or have just handed them in.
        Reserve = "reserve",
        /// Ours.
        House = "house",
    }
}

words! {
    /// A side of an account.
    Side {
        /// Left: what there is, and what was spent.
        Debit = "debit",
        /// Right: what is owed, and what was earned.
        Credit = "credit",
    }
}

words! {
    /// What an account is.
    AccountKind {
        // What the reserve is made of, and what it owes.
        /// Cash that backs tokens, by bank account.
        Reserve = "reserve",
        /// What is missing in the reserve: we owe it. With its counterpart [`AccountKind::DueToReserve`].
        ReserveDeficit = "reserve_deficit",
        /// Cleared money for which tokens may be minted.
        Mintable = "mintable",
        /// Tokens in circulation, by rail and chain: the supply there.
        TokenLiability = "token_liability",
        /// Burned on one rail and not yet minted on the other.
        RailTransfer = "rail_transfer",
        /// Burned, and the bank payment is not sent.
        RedemptionPayable = "redemption_payable",
        /// Bank payments that are sent and that the bank has not debited, by bank account.
        PayoutInTransit = "payout_in_transit",
        // What we have.
        /// Our own free money, by bank account. Below zero: the bank, or a provider, took more than we had there.
        BankCash = "bank_cash",
        /// Own capital set aside for what goes wrong, by bank account.
        LossReserve = "loss_reserve",
        /// What a provider has collected and not paid out. Below zero: we owe it.
        GatewayReceivable = "gateway_receivable",
        /// USDC in our account at Circle.
        UsdcAtCircle = "usdc_at_circle",
        /// USDC of our treasury's address, by chain.
        UsdcTreasury = "usdc_treasury",
        /// USDC in the FloatGate, by chain.
        UsdcFloat = "usdc_float",
        /// What a customer owes us for money he has taken back. Below zero: we owe him.
        CustomerReceivable = "customer_receivable",
        /// Taken by card networks while they decide.
        ChargebacksOpen = "chargebacks_open",
        /// Debits at a bank or provider that nobody can explain yet.
        Unexplained = "unexplained",
        // What we owe.
        /// Money collected from customers that is not cleared.
        DepositsHeld = "deposits_held",
        /// What we owe the reserve: the counterpart of [`AccountKind::ReserveDeficit`].
        DueToReserve = "due_to_reserve",
        /// Money that came and nobody knows for what.
        Suspense = "suspense",
        /// What a customer has with us: what was too much, or was not needed.
        CustomerCredit = "customer_credit",
        /// What the owners have put in.
        Capital = "capital",
        // What we earn and spend.
        /// Fees of customers.
        Fees = "fees",
        /// Fees of providers and banks.
        ProviderFees = "provider_fees",
        /// What was given up.
        Losses = "losses",
    }
}

words! {
    /// What the accounts of a kind are told apart by.
    By {
        /// There is one.
        Nothing = "nothing",
        /// Our bank account.
        Bank = "bank",
        /// The provider.
        Provider = "provider",
        /// The customer.
        Customer = "customer",
        /// The token: rail and chain, `tempo/42431`.
        Token = "token",
        /// The chain.
        Chain = "chain",
    }
}

/// What holds for a kind of account.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The kind.
    pub kind: AccountKind,
    /// Whose money.
    pub fund: Fund,
    /// The side it grows on.
    pub normal: Side,
    /// What its accounts are told apart by.
    pub by: By,
    /// Whether the balance may be on the other side. Only where somebody else decides what is taken: a bank, a provider.
    pub below_zero: bool,
}

const fn rule(kind: AccountKind, fund: Fund, normal: Side, by: By, below_zero: bool) -> Rule {
    Rule { kind, fund, normal, by, below_zero }
}

use AccountKind as K;
use Fund::{House, Reserve};
use Side::{Credit, Debit};

/// The chart of accounts. Postgres has the same table (`ledger_account_kinds`), and a test compares them.
pub const CHART: &[Rule] = &[
    rule(K::Reserve, Reserve, Debit, By::Bank, true),
    rule(K::ReserveDeficit, Reserve, Debit, By::Nothing, false),
    rule(K::Mintable, Reserve, Credit, By::Nothing, false),
    rule(K::TokenLiability, Reserve, Credit, By::Token, false),
    rule(K::RailTransfer, Reserve, Credit, By::Nothing, false),
    rule(K::RedemptionPayable, Reserve, Credit, By::Nothing, false),
    rule(K::PayoutInTransit, Reserve, Credit, By::Bank, false),
    rule(K::BankCash, House, Debit, By::Bank, true),
    rule(K::LossReserve, House, Debit, By::Bank, false),
    rule(K::GatewayReceivable, House, Debit, By::Provider, true),
    rule(K::UsdcAtCircle, House, Debit, By::Nothing, false),
    rule(K::UsdcTreasury, House, Debit, By::Chain, false),
    rule(K::UsdcFloat, House, Debit, By::Chain, false),
    rule(K::CustomerReceivable, House, Debit, By::Customer, true),
    rule(K::ChargebacksOpen, House, Debit, By::Provider, false),
    rule(K::Unexplained, House, Debit, By::Nothing, false),
    rule(K::DepositsHeld, House, Credit, By::Nothing, false),
    rule(K::DueToReserve, House, Credit, By::Nothing, false),
    rule(K::Suspense, House, Credit, By::Nothing, false),
    rule(K::CustomerCredit, House, Credit, By::Customer, false),
    rule(K::Capital, House, Credit, By::Nothing, false),
    // Fees that were earned can be given back later than they were booked as earned, in another year.
    rule(K::Fees, House, Credit, By::Nothing, true),
    rule(K::ProviderFees, House, Debit, By::Provider, true),
    rule(K::Losses, House, Debit, By::Nothing, true),
];

impl AccountKind {
    /// What holds for it.
    pub const fn rule(self) -> Rule {
        // In the order of declaration, which a test holds to.
        CHART[self as usize]
    }
}

/// An account: `bank_cash:main`, `token_liability:tempo/42431`, `suspense`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// What it is.
    pub kind: AccountKind,
    /// Which of its kind; empty where there is one.
    pub of: String,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of.as_str() {
            "" => write!(f, "{}", self.kind),
            of => write!(f, "{}:{of}", self.kind),
        }
    }
}

words! {
    /// Something that happens to money, and is booked.
    EntryKind {
        // A receipt: money a customer pays in.
        /// A charge or debit is handed to the provider (pending).
        Collecting = "collecting",
        /// The provider has collected it (posts [`EntryKind::Collecting`]).
        Collected = "collected",
        /// It was declined, or came back before it settled (voids [`EntryKind::Collecting`]).
        NotCollected = "not_collected",
        /// Money arrived that we did not have to collect: a wire, an instant credit.
        Received = "received",
        /// A provider or bank took a fee of its own.
        ProviderFee = "provider_fee",
        /// The hold is over, or own capital stands in until it is: it may be minted.
        Cleared = "cleared",
        /// It may not be minted after all.
        Uncleared = "uncleared",
        /// Tokens are minted, finally.
        Minted = "minted",
        /// The FloatGate has paid, finally.
        FloatPaid = "float_paid",
        /// The customer's bank took it back.
        Returned = "returned",
        /// That it was taken back is taken back.
        ReturnUndone = "return_undone",
        /// The card network took it while it decides.
        ChargebackOpened = "chargeback_opened",
        /// And gave it back.
        ChargebackWon = "chargeback_won",
        /// And kept it.
        ChargebackLost = "chargeback_lost",
        /// Cure, (a) and (b): the tokens are taken back where that is allowed, and burned.
        ClawedBack = "clawed_back",
        /// Cure, (c): own capital fills the reserve up.
        ToppedUp = "topped_up",
        /// Money that came after all goes where it was missing: the reserve, then own capital.
        Restored = "restored",
        /// Cure, (d): the customer pays what he owes.
        ReceivableCollected = "receivable_collected",
        /// What he owes is given up.
        WrittenOff = "written_off",
        /// What is not needed becomes the customer's credit.
        GivenBack = "given_back",

        // Ours and the providers'.
        /// A provider pays out what it has collected.
        GatewayPaidOut = "gateway_paid_out",
        /// Money came and nobody knows for what.
        Unmatched = "unmatched",
        /// Two people know: it is a receipt's.
        SuspenseAssigned = "suspense_assigned",
        /// It is sent back.
        SuspenseReturned = "suspense_returned",
        /// Money went and nobody knows for what.
        UnexplainedDebit = "unexplained_debit",
        /// It came back.
        UnexplainedRecovered = "unexplained_recovered",
        /// It is given up.
        UnexplainedWrittenOff = "unexplained_written_off",
        /// The owners put money in.
        CapitalPaidIn = "capital_paid_in",
        /// Own money is set aside.
        LossReserveFunded = "loss_reserve_funded",
        /// A customer's credit is paid to his bank.
        CreditPaid = "credit_paid",
        /// That payment came back.
        CreditPaymentReturned = "credit_payment_returned",
        /// A customer's credit pays what he owes.
        CreditOffset = "credit_offset",
        /// Money moves from one of our bank accounts to another.
        BankMoved = "bank_moved",
        /// Dollars are sent to Circle.
        FloatOrdered = "float_ordered",
        /// Circle has turned them into USDC.
        FloatBought = "float_bought",
        /// USDC from Circle to our treasury's address.
        FloatToTreasury = "float_to_treasury",
        /// From there into the FloatGate.
        FloatToGate = "float_to_gate",
        /// From the FloatGate back to the treasury.
        FloatWithdrawn = "float_withdrawn",
        /// USDC of ours becomes dollars again.
        FloatSold = "float_sold",

        // A withdrawal: tokens for money.
        /// Tokens are set aside for burning (pending).
        Burning = "burning",
        /// They are burned, finally (posts [`EntryKind::Burning`], if there was one).
        Burned = "burned",
        /// They are not burned (voids [`EntryKind::Burning`]).
        NotBurned = "not_burned",
        /// USDC handed in for dollars: we buy it.
        UsdcRedeemed = "usdc_redeemed",
        /// The bank payment is sent.
        PayoutSent = "payout_sent",
        /// The bank has debited it.
        PayoutDone = "payout_done",
        /// It did not leave.
        PayoutFailed = "payout_failed",
        /// It left, and came back.
        PayoutReturned = "payout_returned",

        // A transfer between rails.
        /// Burned on the first, finally.
        CrossBurned = "cross_burned",
        /// Minted on the second, finally.
        CrossMinted = "cross_minted",
        /// Paid from the float on the second, finally.
        CrossFloatPaid = "cross_float_paid",
        /// Given up in the middle: the holder is paid in dollars.
        CrossAbandoned = "cross_abandoned",
    }
}

words! {
    /// A part of an entry's amount.
    Part {
        /// The one there is.
        Amount = "amount",
        /// What the customer pays for his invoice.
        Principal = "principal",
        /// What he pays us for it.
        Fee = "fee",
        /// What stands in `deposits_held`.
        Held = "held",
        /// What is mintable.
        Mintable = "mintable",
        /// What is covered by the customer's money.
        Cash = "cash",
        /// What is covered by own capital.
        Cover = "cover",
        /// What the reserve lacks.
        Deficit = "deficit",
        /// What the customer owes.
        Owed = "owed",
        /// What moves between reserves.
        Reserve = "reserve",
    }
}

/// An account in a line of the table below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The account of this kind that the event names.
    Of(AccountKind),
    /// Where the money was taken or given: a bank account, or what a provider owes us.
    Place,
    /// The account of this kind at the other bank account.
    Other(AccountKind),
    /// The token on the other rail.
    OtherToken,
}

use At::{Other, OtherToken, Place};
use EntryKind as E;

const fn of(kind: AccountKind) -> At {
    At::Of(kind)
}

/// What each event does, one line for each pair of postings: (event, part, debit, credit). Both accounts of a line are of one
/// fund, so that every entry made of it balances in each.
pub const ENTRIES: &[(E, Part, At, At)] = &[
    (E::Collecting, Part::Principal, of(K::GatewayReceivable), of(K::DepositsHeld)),
    (E::Collecting, Part::Fee, of(K::GatewayReceivable), of(K::Fees)),
    (E::Collected, Part::Principal, of(K::GatewayReceivable), of(K::DepositsHeld)),
    (E::Collected, Part::Fee, of(K::GatewayReceivable), of(K::Fees)),
    (E::Received, Part::Principal, Place, of(K::DepositsHeld)),
    (E::Received, Part::Fee, Place, of(K::Fees)),
    (E::ProviderFee, Part::Amount, of(K::ProviderFees), Place),
    (E::Cleared, Part::Cash, of(K::DepositsHeld), of(K::BankCash)),
    (E::Cleared, Part::Cash, of(K::Reserve), of(K::Mintable)),
    (E::Cleared, Part::Cover, of(K::DepositsHeld), of(K::LossReserve)),
    (E::Cleared, Part::Cover, of(K::Reserve), of(K::Mintable)),
    (E::Uncleared, Part::Cash, of(K::Mintable), of(K::Reserve)),
    (E::Uncleared, Part::Cash, of(K::BankCash), of(K::DepositsHeld)),
    (E::Uncleared, Part::Cover, of(K::Mintable), of(K::Reserve)),
    (E::Uncleared, Part::Cover, of(K::LossReserve), of(K::DepositsHeld)),
    (E::Minted, Part::Mintable, of(K::Mintable), of(K::TokenLiability)),
    // Minted although the money was on its way back already: a deficit from the first moment.
    (E::Minted, Part::Held, of(K::ReserveDeficit), of(K::TokenLiability)),
    (E::Minted, Part::Held, of(K::DepositsHeld), of(K::DueToReserve)),
    (E::Minted, Part::Owed, of(K::ReserveDeficit), of(K::TokenLiability)),
    (E::Minted, Part::Owed, of(K::CustomerReceivable), of(K::DueToReserve)),
    (E::FloatPaid, Part::Cash, of(K::Mintable), of(K::Reserve)),
    (E::FloatPaid, Part::Cash, of(K::BankCash), of(K::UsdcFloat)),
    (E::FloatPaid, Part::Cover, of(K::Mintable), of(K::Reserve)),
    (E::FloatPaid, Part::Cover, of(K::LossReserve), of(K::UsdcFloat)),
    (E::FloatPaid, Part::Held, of(K::DepositsHeld), of(K::UsdcFloat)),
    (E::FloatPaid, Part::Owed, of(K::CustomerReceivable), of(K::UsdcFloat)),
    (E::Returned, Part::Held, of(K::DepositsHeld), Place),
    (E::Returned, Part::Fee, of(K::Fees), Place),
    (E::Returned, Part::Owed, of(K::CustomerReceivable), Place),
    (E::Returned, Part::Deficit, of(K::ReserveDeficit), of(K::Reserve)),
    (E::Returned, Part::Deficit, of(K::BankCash), of(K::DueToReserve)),
    (E::ReturnUndone, Part::Held, Place, of(K::DepositsHeld)),
    (E::ReturnUndone, Part::Fee, Place, of(K::Fees)),
    (E::ReturnUndone, Part::Owed, Place, of(K::CustomerReceivable)),
    (E::ChargebackOpened, Part::Amount, of(K::ChargebacksOpen), Place),
    (E::ChargebackOpened, Part::Deficit, of(K::ReserveDeficit), of(K::Reserve)),
    (E::ChargebackOpened, Part::Deficit, of(K::BankCash), of(K::DueToReserve)),
    (E::ChargebackWon, Part::Amount, Place, of(K::ChargebacksOpen)),
    (E::ChargebackLost, Part::Held, of(K::DepositsHeld), of(K::ChargebacksOpen)),
    (E::ChargebackLost, Part::Fee, of(K::Fees), of(K::ChargebacksOpen)),
    (E::ChargebackLost, Part::Owed, of(K::CustomerReceivable), of(K::ChargebacksOpen)),
    (E::ClawedBack, Part::Deficit, of(K::TokenLiability), of(K::ReserveDeficit)),
    (E::ClawedBack, Part::Deficit, of(K::DueToReserve), of(K::CustomerReceivable)),
    (E::ClawedBack, Part::Cover, of(K::TokenLiability), of(K::Reserve)),
    (E::ClawedBack, Part::Cover, of(K::LossReserve), of(K::CustomerReceivable)),
    (E::ClawedBack, Part::Cash, of(K::TokenLiability), of(K::Reserve)),
    (E::ClawedBack, Part::Cash, of(K::BankCash), of(K::CustomerReceivable)),
    (E::ToppedUp, Part::Deficit, of(K::Reserve), of(K::ReserveDeficit)),
    (E::ToppedUp, Part::Deficit, of(K::DueToReserve), of(K::LossReserve)),
    (E::Restored, Part::Deficit, of(K::Reserve), of(K::ReserveDeficit)),
    (E::Restored, Part::Deficit, of(K::DueToReserve), of(K::BankCash)),
    (E::Restored, Part::Cover, of(K::LossReserve), of(K::BankCash)),
    (E::ReceivableCollected, Part::Amount, of(K::BankCash), of(K::CustomerReceivable)),
    (E::WrittenOff, Part::Amount, of(K::Losses), of(K::CustomerReceivable)),
    (E::GivenBack, Part::Held, of(K::DepositsHeld), of(K::CustomerCredit)),
    (E::GatewayPaidOut, Part::Amount, of(K::BankCash), of(K::GatewayReceivable)),
    (E::Unmatched, Part::Amount, Place, of(K::Suspense)),
    (E::SuspenseAssigned, Part::Principal, of(K::Suspense), of(K::DepositsHeld)),
    (E::SuspenseAssigned, Part::Fee, of(K::Suspense), of(K::Fees)),
    (E::SuspenseReturned, Part::Amount, of(K::Suspense), Place),
    (E::UnexplainedDebit, Part::Amount, of(K::Unexplained), Place),
    (E::UnexplainedRecovered, Part::Amount, Place, of(K::Unexplained)),
    (E::UnexplainedWrittenOff, Part::Amount, of(K::Losses), of(K::Unexplained)),
    (E::CapitalPaidIn, Part::Amount, of(K::BankCash), of(K::Capital)),
    (E::LossReserveFunded, Part::Amount, of(K::LossReserve), of(K::BankCash)),
    (E::CreditPaid, Part::Amount, of(K::CustomerCredit), of(K::BankCash)),
    (E::CreditPaymentReturned, Part::Amount, of(K::BankCash), of(K::CustomerCredit)),
    (E::CreditOffset, Part::Amount, of(K::CustomerCredit), of(K::CustomerReceivable)),
    (E::BankMoved, Part::Cash, Other(K::BankCash), of(K::BankCash)),
    (E::BankMoved, Part::Reserve, Other(K::Reserve), of(K::Reserve)),
    (E::BankMoved, Part::Cover, Other(K::LossReserve), of(K::LossReserve)),
    (E::FloatOrdered, Part::Amount, of(K::GatewayReceivable), of(K::BankCash)),
    (E::FloatBought, Part::Amount, of(K::UsdcAtCircle), of(K::GatewayReceivable)),
    (E::FloatToTreasury, Part::Amount, of(K::UsdcTreasury), of(K::UsdcAtCircle)),
    (E::FloatToGate, Part::Amount, of(K::UsdcFloat), of(K::UsdcTreasury)),
    (E::FloatWithdrawn, Part::Amount, of(K::UsdcTreasury), of(K::UsdcFloat)),
    (E::FloatSold, Part::Amount, of(K::BankCash), of(K::UsdcAtCircle)),
    (E::Burning, Part::Amount, of(K::TokenLiability), of(K::RedemptionPayable)),
    (E::Burned, Part::Amount, of(K::TokenLiability), of(K::RedemptionPayable)),
    (E::UsdcRedeemed, Part::Amount, of(K::UsdcTreasury), of(K::BankCash)),
    (E::UsdcRedeemed, Part::Amount, of(K::Reserve), of(K::RedemptionPayable)),
    (E::PayoutSent, Part::Amount, of(K::RedemptionPayable), of(K::PayoutInTransit)),
    (E::PayoutDone, Part::Amount, of(K::PayoutInTransit), of(K::Reserve)),
    (E::PayoutFailed, Part::Amount, of(K::PayoutInTransit), of(K::RedemptionPayable)),
    (E::PayoutReturned, Part::Amount, of(K::Reserve), of(K::RedemptionPayable)),
    (E::CrossBurned, Part::Amount, of(K::TokenLiability), of(K::RailTransfer)),
    (E::CrossMinted, Part::Amount, of(K::RailTransfer), OtherToken),
    (E::CrossFloatPaid, Part::Amount, of(K::RailTransfer), of(K::Reserve)),
    (E::CrossFloatPaid, Part::Amount, of(K::BankCash), of(K::UsdcFloat)),
    (E::CrossAbandoned, Part::Amount, of(K::RailTransfer), of(K::RedemptionPayable)),
];

/// Events that are ours to decide, and the accounts whose sum they must not leave below zero: money that is not there is
/// neither set aside nor sent. What others have decided is booked whatever it does.
pub const COVERED_BY: &[(E, &[AccountKind])] = &[
    (E::Cleared, &[K::BankCash]),
    (E::Restored, &[K::BankCash]),
    (E::LossReserveFunded, &[K::BankCash]),
    (E::CreditPaid, &[K::BankCash]),
    (E::FloatOrdered, &[K::BankCash]),
    (E::UsdcRedeemed, &[K::BankCash]),
    (E::SuspenseReturned, &[K::BankCash]),
    (E::PayoutSent, &[K::Reserve, K::PayoutInTransit]),
];

/// Where money is taken or given.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Location {
    /// At our bank account.
    Bank(String),
    /// In what this provider owes us: it nets.
    Provider(String),
}

/// Whom and what an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Our bank account.
    pub bank: Option<String>,
    /// The other one.
    pub other_bank: Option<String>,
    /// The provider.
    pub provider: Option<String>,
    /// The customer.
    pub customer: Option<String>,
    /// The token, `tempo/42431`.
    pub token: Option<String>,
    /// The token on the other rail.
    pub other_token: Option<String>,
    /// The chain.
    pub chain: Option<String>,
    /// Where the money was taken or given.
    pub place: Option<Location>,
}

/// What names an entry: nothing is booked twice under it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Whose event: `receipt/…`, `withdrawal/…`, a provider, a bank account.
    pub source: String,
    /// Which of its events: a trace number, a batch, a kind that comes once.
    pub reference: String,
    /// What it books.
    pub kind: EntryKind,
}

/// The phase of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Booked at once.
    Single,
    /// Announced: seen, and in no balance.
    Pending,
    /// What was announced is booked.
    Post(Key),
    /// What was announced does not come.
    Void(Key),
}

/// A posting: above zero a debit, below a credit. Base units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// The account.
    pub account: Account,
    /// Debits above zero, credits below.
    pub amount: i128,
}

/// A transfer as it is booked: balanced, each account once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What names it.
    pub key: Key,
    /// Its phase.
    pub phase: Phase,
    /// Its postings, by account; none of a void.
    pub legs: Vec<Leg>,
    /// The sum of these must not be below zero afterwards, debits counted up.
    pub covered_by: Vec<Account>,
}

/// Why an entry cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The table has no such line.
    #[error("the entry '{kind}' has no part '{part}'")]
    NoSuchPart {
        /// The event.
        kind: EntryKind,
        /// The part.
        part: Part,
    },
    /// The event does not say which account it means.
    #[error("the entry '{kind}' needs to say which {by} it is about")]
    Unnamed {
        /// The event.
        kind: EntryKind,
        /// What is missing.
        by: &'static str,
    },
    /// Nothing moves.
    #[error("the entry '{0}' moves nothing")]
    Empty(EntryKind),
    /// More than an account can hold.
    #[error("the entry '{0}' is above what can be counted")]
    TooLarge(EntryKind),
}

impl Names {
    fn account(&self, entry: EntryKind, kind: AccountKind) -> Result<Account, EntryError> {
        let of = match kind.rule().by {
            By::Nothing => Some(String::new()),
            By::Bank => self.bank.clone(),
            By::Provider => self.provider.clone(),
            By::Customer => self.customer.clone(),
            By::Token => self.token.clone(),
            By::Chain => self.chain.clone(),
        };
        let of = of.ok_or(EntryError::Unnamed { kind: entry, by: kind.rule().by.as_str() })?;
        Ok(Account { kind, of })
    }

    fn at(&self, entry: EntryKind, at: At) -> Result<Account, EntryError> {
        let unnamed = |by| EntryError::Unnamed { kind: entry, by };
        match at {
            At::Of(kind) => self.account(entry, kind),
            Other(kind) => Ok(Account { kind, of: self.other_bank.clone().ok_or(unnamed("other bank"))? }),
            OtherToken => {
                Ok(Account { kind: K::TokenLiability, of: self.other_token.clone().ok_or(unnamed("other token"))? })
            }
            Place => match self.place.clone().ok_or(unnamed("place"))? {
                Location::Bank(of) => Ok(Account { kind: K::BankCash, of }),
                Location::Provider(of) => Ok(Account { kind: K::GatewayReceivable, of }),
            },
        }
    }
}

impl Entry {
    /// Makes an entry from the table. Parts of zero are left out; one that moves nothing at all is an error.
    pub fn new(key: Key, phase: Phase, names: &Names, parts: &[(Part, Units)]) -> Result<Self, EntryError> {
        let kind = key.kind;
        let mut sums: BTreeMap<Account, i128> = BTreeMap::new();
        for &(part, Units(units)) in parts {
            let mut lines = ENTRIES.iter().filter(|(of, which, ..)| (*of, *which) == (kind, part)).peekable();
            if lines.peek().is_none() {
                return Err(EntryError::NoSuchPart { kind, part });
            }
            let amount = i128::try_from(units).map_err(|_| EntryError::TooLarge(kind))?;
            if amount == 0 {
                continue;
            }
            for &(.., debit, credit) in lines {
                for (at, amount) in [(debit, amount), (credit, -amount)] {
                    let sum = sums.entry(names.at(kind, at)?).or_default();
                    *sum = sum.checked_add(amount).ok_or(EntryError::TooLarge(kind))?;
                }
            }
        }
        // A return that is debited where the reserve lies takes from `bank_cash` there and gives it back: nothing moves there.
        let legs: Vec<Leg> = sums
            .into_iter()
            .filter(|(_, amount)| *amount != 0)
            .map(|(account, amount)| Leg { account, amount })
            .collect();
        if legs.is_empty() {
            return Err(EntryError::Empty(kind));
        }
        let mut covered_by = Vec::new();
        for &kinds in COVERED_BY.iter().filter(|(of, _)| *of == kind).map(|(_, kinds)| kinds) {
            for &covering in kinds {
                // What it does not touch it does not need.
                if legs.iter().any(|leg| kinds.contains(&leg.account.kind) && leg.amount < 0) {
                    covered_by.push(names.account(kind, covering)?);
                }
            }
        }
        Ok(Self { key, phase, legs, covered_by })
    }

    /// Takes back what was announced under `pending`.
    pub fn void(key: Key, pending: Key) -> Self {
        Self { key, phase: Phase::Void(pending), legs: Vec::new(), covered_by: Vec::new() }
    }
}

/// Sums of the books, in base units, each on the side it grows on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Cash that backs tokens.
    pub reserve: i128,
    /// What it lacks, as booked.
    pub deficit: i128,
    /// Tokens in circulation.
    pub token_liability: i128,
    /// Cleared and not minted.
    pub mintable: i128,
    /// Between two rails.
    pub rail_transfer: i128,
    /// To be paid to banks.
    pub redemption_payable: i128,
    /// On its way to banks.
    pub payout_in_transit: i128,
    /// Own capital set aside.
    pub loss_reserve: i128,
    /// By how much our own free money is below zero, over all bank accounts where it is: cash the reserve counts and the bank
    /// has not.
    pub overdraft: i128,
}

impl Position {
    /// Adds an account's balance, debits above zero.
    pub fn add(&mut self, kind: AccountKind, balance: i128) {
        match kind {
            K::Reserve => self.reserve += balance,
            K::ReserveDeficit => self.deficit += balance,
            K::TokenLiability => self.token_liability -= balance,
            K::Mintable => self.mintable -= balance,
            K::RailTransfer => self.rail_transfer -= balance,
            K::RedemptionPayable => self.redemption_payable -= balance,
            K::PayoutInTransit => self.payout_in_transit -= balance,
            K::LossReserve => self.loss_reserve += balance,
            K::BankCash => self.overdraft += (-balance).max(0),
            _ => {}
        }
    }

    /// Everything the reserve owes.
    pub const fn owed(&self) -> i128 {
        self.token_liability + self.mintable + self.rail_transfer + self.redemption_payable + self.payout_in_transit
    }

    /// Whether reserve and named deficit are what is owed, to the unit. If not, the books are wrong.
    pub const fn is_balanced(&self) -> bool {
        self.reserve + self.deficit == self.owed()
    }

    /// Whether every token has its dollar. Nothing is minted while it has not.
    pub const fn is_whole(&self) -> bool {
        self.is_balanced() && self.deficit == 0 && self.overdraft == 0
    }
}
