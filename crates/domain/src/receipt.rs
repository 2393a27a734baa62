//! A receipt: money a customer pays in, from the first word to the provider until its tokens are minted, and what happens when
//! it is taken back. Its states as a table, and what each event books.
//!
//! Per receipt the reserve's promise is kept to the unit: **mintable + minted = cash + cover + deficit**. `cash` is the
//! customer's own money in the reserve, `cover` own capital that stands in for it (lent before the money arrived, or after it was
//! taken back), `deficit` what the reserve lacks. Amounts are base units, 10⁻⁶ of a dollar.
//!
//! Events come twice, late and in any order. An event is named by its kind and its trace (a return's trace number, a
//! chargeback's id; nothing where it comes once) and applied once; one that is too early ([`Refusal::TooEarly`]) waits beside the
//! receipt and is offered again after the next.

use crate::ledger::{Entry, EntryKind, Key, Location, Names, Part, Phase};
use crate::money::Units;
use crate::steps::{Refusal, comes_later};
use crate::words;

words! {
    /// How the money comes.
    FiatRail {
        /// A card.
        Card = "card",
        /// A debit from a bank account: slow, and taken back up to 60 days later.
        Ach = "ach",
        /// A wire: final when it is credited.
        Wire = "wire",
        /// An instant credit (RTP, FedNow): final too.
        Rtp = "rtp",
    }
}

words! {
    /// How far a receipt has come.
    ReceiptState {
        /// Written down; nothing is sent.
        Initiated = "initiated",
        /// The provider has it, or may have it.
        Submitted = "submitted",
        /// The provider, or the bank, has the money.
        Settled = "settled",
        /// And it is held until it is unlikely to be taken back.
        Held = "held",
        /// It may be minted.
        Cleared = "cleared",
        /// Tokens are minted for it, or the float has paid.
        Minted = "minted",
        /// The provider said no. Nothing came.
        Declined = "declined",
        /// It went back: the customer's bank took it, or it became the customer's credit before anything was minted.
        Returned = "returned",
        /// A card network took it: for good, or while it decides.
        ChargedBack = "charged_back",
    }
}

words! {
    /// What happens to a receipt.
    EventKind {
        /// It was handed to the provider.
        Submitted = "submitted",
        /// The provider said no, and will not change its mind.
        Declined = "declined",
        /// The money is there: collected by the provider, or credited at the bank.
        Settled = "settled",
        /// It is held.
        Held = "held",
        /// The hold is over.
        Cleared = "cleared",
        /// It may be minted before the hold is over: own capital stands in.
        Accepted = "accepted",
        /// Tokens are minted: the block is final.
        Minted = "minted",
        /// The FloatGate has paid: the block is final.
        FloatPaid = "float_paid",
        /// The customer's bank takes it back.
        Returned = "returned",
        /// The return is dishonoured: it was not theirs to take.
        ReturnUndone = "return_undone",
        /// A chargeback is opened.
        ChargebackOpened = "chargeback_opened",
        /// It is won.
        ChargebackWon = "chargeback_won",
        /// It is lost, or accepted.
        ChargebackLost = "chargeback_lost",
        /// Tokens were taken back and burned.
        ClawedBack = "clawed_back",
        /// Own capital fills the reserve up.
        ToppedUp = "topped_up",
        /// Money that came after all goes where it was missing.
        Restored = "restored",
        /// What is left becomes the customer's credit.
        GivenBack = "given_back",
    }
}

words! {
    /// When a row of the table may be taken.
    Guard {
        /// At any time.
        Always = "always",
        /// Nothing is minted for it, nor paid from the float.
        NothingOut = "nothing_out",
        /// Something is.
        SomethingOut = "something_out",
        /// Some of the money is still taken back, by another return or chargeback.
        StillTaken = "still_taken",
    }
}

use EventKind as E;
use Guard::{Always, NothingOut, SomethingOut, StillTaken};
use ReceiptState as S;

/// Every change there is: (from, event, guard, to), the first row that fits. What is not here is refused, or waits if a later
/// state takes it.
pub const TRANSITIONS: &[(S, E, Guard, S)] = &[
    (S::Initiated, E::Submitted, Always, S::Submitted),
    (S::Initiated, E::Declined, Always, S::Declined),
    // A wire is not submitted by us.
    (S::Initiated, E::Settled, Always, S::Settled),
    (S::Submitted, E::Declined, Always, S::Declined),
    (S::Submitted, E::Settled, Always, S::Settled),
    (S::Submitted, E::Accepted, Always, S::Cleared),
    (S::Submitted, E::Returned, Always, S::Returned),
    (S::Settled, E::Held, Always, S::Held),
    (S::Settled, E::Returned, Always, S::Returned),
    (S::Settled, E::ChargebackOpened, Always, S::ChargedBack),
    (S::Held, E::Cleared, Always, S::Cleared),
    (S::Held, E::Accepted, Always, S::Cleared),
    (S::Held, E::Returned, Always, S::Returned),
    (S::Held, E::ChargebackOpened, Always, S::ChargedBack),
    (S::Held, E::GivenBack, Always, S::Returned),
    // An attestation was out when it was taken back and given again.
    (S::Held, E::Minted, Always, S::Minted),
    (S::Held, E::FloatPaid, Always, S::Minted),
    (S::Cleared, E::Settled, Always, S::Cleared),
    (S::Cleared, E::Restored, Always, S::Cleared),
    (S::Cleared, E::Minted, Always, S::Minted),
    (S::Cleared, E::FloatPaid, Always, S::Minted),
    (S::Cleared, E::Returned, Always, S::Returned),
    (S::Cleared, E::ChargebackOpened, Always, S::ChargedBack),
    (S::Cleared, E::GivenBack, Always, S::Returned),
    // What no gate may do is booked all the same: a second mint is a deficit that shows.
    (S::Minted, E::Minted, Always, S::Minted),
    (S::Minted, E::FloatPaid, Always, S::Minted),
    (S::Minted, E::Settled, Always, S::Minted),
    (S::Minted, E::Restored, Always, S::Minted),
    (S::Minted, E::GivenBack, Always, S::Minted),
    (S::Minted, E::Returned, Always, S::Returned),
    (S::Minted, E::ChargebackOpened, Always, S::ChargedBack),
    // Won, and the money is not back yet.
    (S::Minted, E::ToppedUp, Always, S::Minted),
    // Money that was taken back can be taken back again: in parts, by return and by chargeback, and given again. And a mint that
    // was under way lands.
    (S::Returned, E::Settled, Always, S::Returned),
    (S::Returned, E::Minted, Always, S::Returned),
    (S::Returned, E::FloatPaid, Always, S::Returned),
    (S::Returned, E::Returned, Always, S::Returned),
    (S::Returned, E::ChargebackOpened, Always, S::ChargedBack),
    (S::Returned, E::ReturnUndone, StillTaken, S::Returned),
    (S::Returned, E::ReturnUndone, NothingOut, S::Held),
    (S::Returned, E::ReturnUndone, SomethingOut, S::Minted),
    (S::Returned, E::GivenBack, Always, S::Returned),
    (S::Returned, E::ClawedBack, Always, S::Returned),
    (S::Returned, E::ToppedUp, Always, S::Returned),
    (S::Returned, E::Restored, Always, S::Returned),
    (S::ChargedBack, E::Settled, Always, S::ChargedBack),
    (S::ChargedBack, E::Minted, Always, S::ChargedBack),
    (S::ChargedBack, E::FloatPaid, Always, S::ChargedBack),
    (S::ChargedBack, E::Returned, Always, S::ChargedBack),
    (S::ChargedBack, E::ReturnUndone, Always, S::ChargedBack),
    (S::ChargedBack, E::ChargebackOpened, Always, S::ChargedBack),
    (S::ChargedBack, E::ChargebackWon, StillTaken, S::ChargedBack),
    (S::ChargedBack, E::ChargebackWon, NothingOut, S::Held),
    (S::ChargedBack, E::ChargebackWon, SomethingOut, S::Minted),
    (S::ChargedBack, E::ChargebackLost, Always, S::ChargedBack),
    (S::ChargedBack, E::ClawedBack, Always, S::ChargedBack),
    (S::ChargedBack, E::ToppedUp, Always, S::ChargedBack),
    (S::ChargedBack, E::Restored, Always, S::ChargedBack),
];

/// How money arrived.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrival {
    /// The provider collected it, and owes it to us.
    Collected,
    /// It was credited at this bank account of ours.
    Credited(String),
    /// It lay in suspense, and two people know that it is this receipt's.
    FromSuspense,
}

/// An event, with what it says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Event {
    Submitted,
    Declined,
    /// `amount`: before the provider's own `fee`, which it keeps.
    Settled {
        amount: Units,
        fee: Units,
        arrival: Arrival,
    },
    Held,
    Cleared,
    Accepted,
    /// `token`: `tempo/42431`.
    Minted {
        token: String,
        amount: Units,
    },
    FloatPaid {
        chain: String,
        amount: Units,
    },
    Returned {
        trace: String,
        amount: Units,
        from: Location,
    },
    ReturnUndone {
        trace: String,
        to: Location,
    },
    ChargebackOpened {
        trace: String,
        amount: Units,
        from: Location,
    },
    ChargebackWon {
        trace: String,
        to: Location,
    },
    ChargebackLost {
        trace: String,
    },
    ClawedBack {
        trace: String,
        token: String,
        amount: Units,
    },
    ToppedUp {
        trace: String,
        amount: Units,
    },
    Restored {
        trace: String,
        amount: Units,
    },
    GivenBack {
        trace: String,
    },
}

impl Event {
    /// What kind it is.
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Submitted => E::Submitted,
            Self::Declined => E::Declined,
            Self::Settled { .. } => E::Settled,
            Self::Held => E::Held,
            Self::Cleared => E::Cleared,
            Self::Accepted => E::Accepted,
            Self::Minted { .. } => E::Minted,
            Self::FloatPaid { .. } => E::FloatPaid,
            Self::Returned { .. } => E::Returned,
            Self::ReturnUndone { .. } => E::ReturnUndone,
            Self::ChargebackOpened { .. } => E::ChargebackOpened,
            Self::ChargebackWon { .. } => E::ChargebackWon,
            Self::ChargebackLost { .. } => E::ChargebackLost,
            Self::ClawedBack { .. } => E::ClawedBack,
            Self::ToppedUp { .. } => E::ToppedUp,
            Self::Restored { .. } => E::Restored,
            Self::GivenBack { .. } => E::GivenBack,
        }
    }

    /// Whether somebody else has decided it: a provider, a bank, a chain. Such an event is never lost: one that is too early
    /// waits. A decision of ours that is too early is none, and is made anew.
    pub const fn is_fact(&self) -> bool {
        !matches!(
            self.kind(),
            E::Submitted | E::Held | E::Cleared | E::Accepted | E::ToppedUp | E::Restored | E::GivenBack
        )
    }

    /// Which of its kind: with the kind it is what makes the event one. Empty where it comes once.
    pub fn trace(&self) -> &str {
        match self {
            Self::Submitted | Self::Declined | Self::Settled { .. } | Self::Held | Self::Cleared | Self::Accepted => "",
            // A gate mints once for a deposit. Two gates would be two mints, and neither may hide the other.
            Self::Minted { token, .. } => token,
            Self::FloatPaid { chain, .. } => chain,
            Self::Returned { trace, .. }
            | Self::ReturnUndone { trace, .. }
            | Self::ChargebackOpened { trace, .. }
            | Self::ChargebackWon { trace, .. }
            | Self::ChargebackLost { trace }
            | Self::ClawedBack { trace, .. }
            | Self::ToppedUp { trace, .. }
            | Self::Restored { trace, .. }
            | Self::GivenBack { trace } => trace,
        }
    }
}

words! {
    /// How money was taken back.
    TakingKind {
        /// By the customer's bank.
        Return = "return",
        /// By the card network.
        Chargeback = "chargeback",
    }
}

words! {
    /// How far that has come.
    TakingState {
        /// Not decided: only chargebacks.
        Open = "open",
        /// It stays taken.
        Lost = "lost",
        /// We have it again.
        Undone = "undone",
    }
}

/// Money that was taken back, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taking {
    /// How.
    pub kind: TakingKind,
    /// The return's trace number, the chargeback's id.
    pub trace: String,
    /// How far it has come.
    pub state: TakingState,
    /// In all.
    pub amount: Units,
    /// Of it: what was held for the customer.
    pub held: Units,
    /// Of it: his fee, given back.
    pub fee: Units,
    /// Of it: what he owes us since.
    pub owed: Units,
}

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Our id.
    pub id: String,
    /// How the money comes.
    pub rail: FiatRail,
    /// Who collects it.
    pub provider: String,
    /// Our bank account it ends up at, and is in reserve at.
    pub bank: String,
    /// Whom it comes from.
    pub customer: String,
    /// What is for the invoice: what the reserve gets.
    pub principal: Units,
    /// What the customer pays us on top.
    pub fee: Units,
    /// How far it has come.
    pub state: ReceiptState,
    /// Nobody knows whether the provider has it. A flag of the submission, never a failure.
    pub unknown: bool,
    /// Whether the money is in the books, and not only announced.
    pub booked: bool,
    /// Whether the provider, or the bank, has said that the money is there.
    pub settled: bool,
    /// Collected and not cleared.
    pub held: Units,
    /// Cleared and not minted.
    pub mintable: Units,
    /// Minted, less what was taken back and burned.
    pub minted: Units,
    /// Paid from the float.
    pub floated: Units,
    /// Of mintable and minted: the customer's money in the reserve.
    pub cash: Units,
    /// Of mintable and minted: own capital in the reserve.
    pub cover: Units,
    /// Of minted: missing in the reserve.
    pub deficit: Units,
    /// What was taken back.
    pub takings: Vec<Taking>,
    /// What has been applied, by kind and trace.
    pub applied: Vec<(EventKind, String)>,
}

/// What an event does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The receipt after it.
    pub receipt: Receipt,
    /// What is booked, in this order, all or nothing.
    pub entries: Vec<Entry>,
}

/// `a - b`, or nothing: what is left of an amount after a part of it.
const fn less(a: Units, b: Units) -> Units {
    Units(a.0.saturating_sub(b.0))
}

fn sum(units: impl IntoIterator<Item = Units>) -> Units {
    Units(units.into_iter().fold(0_u128, |sum, Units(next)| sum.saturating_add(next)))
}

impl Receipt {
    /// A receipt nothing has happened to.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        id: &str,
        rail: FiatRail,
        provider: &str,
        bank: &str,
        customer: &str,
        principal: Units,
        fee: Units,
    ) -> Self {
        let none = Units(0);
        Self {
            id: id.to_owned(),
            rail,
            provider: provider.to_owned(),
            bank: bank.to_owned(),
            customer: customer.to_owned(),
            principal,
            fee,
            state: S::Initiated,
            unknown: false,
            booked: false,
            settled: false,
            held: none,
            mintable: none,
            minted: none,
            floated: none,
            cash: none,
            cover: none,
            deficit: none,
            takings: Vec::new(),
            applied: Vec::new(),
        }
    }

    /// What the customer pays in all.
    pub fn gross(&self) -> Units {
        sum([self.principal, self.fee])
    }

    /// What is taken back at present.
    pub fn taken(&self) -> Units {
        sum(self.takings.iter().filter(|taking| taking.state != TakingState::Undone).map(|taking| taking.amount))
    }

    /// Whether every token of this receipt is accounted for: by the customer's money, own capital or a named deficit.
    pub fn is_backed(&self) -> bool {
        sum([self.mintable, self.minted]) == sum([self.cash, self.cover, self.deficit])
    }

    fn something_out(&self) -> bool {
        self.minted.0 > 0 || self.floated.0 > 0
    }

    /// Applies an event, or says why not.
    pub fn take(&self, event: &Event) -> Result<Step, Refusal> {
        let kind = event.kind();
        if self.applied.iter().any(|(of, trace)| *of == kind && trace == event.trace()) {
            return Err(Refusal::Already);
        }
        if !TRANSITIONS.iter().any(|(from, of, ..)| (*from, *of) == (self.state, kind)) {
            return Err(self.not_now(kind));
        }
        let mut work = Work { receipt: self.clone(), event, entries: Vec::new() };
        work.carry_out()?;
        let Work { mut receipt, entries, .. } = work;
        let taken = receipt.taken().0 > 0;
        let fits = |guard: Guard| match guard {
            Always => true,
            NothingOut => !receipt.something_out(),
            SomethingOut => receipt.something_out(),
            StillTaken => taken,
        };
        let row = TRANSITIONS.iter().find(|(from, of, guard, _)| (*from, *of) == (self.state, kind) && fits(*guard));
        let &(.., to) = row.ok_or_else(|| self.not_now(kind))?;
        receipt.state = to;
        receipt.applied.push((kind, event.trace().to_owned()));
        Ok(Step { receipt, entries })
    }

    /// Too early if a state that can still be reached takes it, else impossible.
    fn not_now(&self, event: EventKind) -> Refusal {
        let (state, rows) = (self.state, TRANSITIONS.iter().map(|&(from, of, _, to)| (from, of, to)));
        match comes_later(rows, state, event) {
            true => Refusal::TooEarly { state: state.as_str(), event: event.as_str() },
            false => Refusal::Impossible { state: state.as_str(), event: event.as_str() },
        }
    }
}

/// An event at work.
struct Work<'a> {
    receipt: Receipt,
    event: &'a Event,
    entries: Vec<Entry>,
}

impl Work<'_> {
    fn carry_out(&mut self) -> Result<(), Refusal> {
        let none = Names::default();
        match self.event.clone() {
            Event::Submitted => {
                let parts = [(Part::Principal, self.receipt.principal), (Part::Fee, self.receipt.fee)];
                self.book_as(EntryKind::Collecting, Phase::Pending, &none, &parts)
            }
            Event::Declined => {
                self.receipt.unknown = false;
                self.void()
            }
            Event::Settled { amount, fee, arrival } => self.settled(amount, fee, &arrival),
            Event::Held => Ok(()),
            Event::Cleared => {
                let amount = self.all_held()?;
                self.receipt.mintable = sum([self.receipt.mintable, amount]);
                self.receipt.cash = sum([self.receipt.cash, amount]);
                self.book(EntryKind::Cleared, &none, &[(Part::Cash, amount)])
            }
            Event::Accepted => {
                self.collect(Phase::Post(self.key(EntryKind::Collecting, "submitted")))?;
                let amount = self.all_held()?;
                self.receipt.mintable = sum([self.receipt.mintable, amount]);
                self.receipt.cover = sum([self.receipt.cover, amount]);
                self.book(EntryKind::Cleared, &none, &[(Part::Cover, amount)])
            }
            Event::Minted { token, amount } => self.minted(&token, amount),
            Event::FloatPaid { chain, amount } => self.float_paid(&chain, amount),
            Event::Returned { trace, amount, from } => self.returned(trace, amount, from),
            Event::ReturnUndone { trace, to } => self.undone(TakingKind::Return, &trace, to),
            Event::ChargebackOpened { trace, amount, from } => self.opened(trace, amount, from),
            Event::ChargebackWon { trace, to } => self.undone(TakingKind::Chargeback, &trace, to),
            Event::ChargebackLost { trace } => self.lost(&trace),
            Event::ClawedBack { token, amount, .. } => self.clawed_back(&token, amount),
            Event::ToppedUp { amount, .. } => {
                self.at_most(amount, self.receipt.deficit)?;
                self.receipt.deficit = less(self.receipt.deficit, amount);
                self.receipt.cover = sum([self.receipt.cover, amount]);
                self.book(EntryKind::ToppedUp, &none, &[(Part::Deficit, amount)])
            }
            Event::Restored { amount, .. } => {
                self.at_most(amount, sum([self.receipt.deficit, self.receipt.cover]))?;
                let deficit = amount.min(self.receipt.deficit);
                let cover = less(amount, deficit);
                self.receipt.deficit = less(self.receipt.deficit, deficit);
                self.receipt.cover = less(self.receipt.cover, cover);
                self.receipt.cash = sum([self.receipt.cash, amount]);
                self.book(EntryKind::Restored, &none, &[(Part::Deficit, deficit), (Part::Cover, cover)])
            }
            Event::GivenBack { .. } => {
                self.unclear()?;
                let amount = self.all_held()?;
                self.book(EntryKind::GivenBack, &none, &[(Part::Held, amount)])
            }
        }
    }

    /// Takes everything that is held; there is something.
    fn all_held(&mut self) -> Result<Units, Refusal> {
        match std::mem::take(&mut self.receipt.held) {
            Units(0) => Err(self.impossible(self.event.kind())),
            amount => Ok(amount),
        }
    }

    fn settled(&mut self, amount: Units, fee: Units, arrival: &Arrival) -> Result<(), Refusal> {
        self.receipt.unknown = false;
        if fee > amount {
            return Err(self.amount(fee, amount));
        }
        let Arrival::Collected = arrival else { return self.received(amount, arrival) };
        if amount != self.receipt.gross() {
            return Err(self.amount(amount, self.receipt.gross()));
        }
        // One that came back before it settled is on the provider's statement with both signs: nothing to book.
        if self.receipt.state != S::Returned && !self.receipt.booked {
            let phase = match self.receipt.state {
                S::Initiated => Phase::Single,
                _ => Phase::Post(self.key(EntryKind::Collecting, "submitted")),
            };
            self.collect(phase)?;
        }
        self.receipt.settled = true;
        if fee.0 == 0 {
            return Ok(());
        }
        let names = Names { place: Some(Location::Provider(self.receipt.provider.clone())), ..Names::default() };
        self.book(EntryKind::ProviderFee, &names, &[(Part::Amount, fee)])
    }

    /// Nobody asked for a certain amount: what came is what it is about.
    fn received(&mut self, amount: Units, arrival: &Arrival) -> Result<(), Refusal> {
        if self.receipt.booked || self.receipt.state != S::Initiated {
            return Err(self.impossible(E::Settled));
        }
        if amount <= self.receipt.fee {
            return Err(self.amount(amount, self.receipt.gross()));
        }
        self.receipt.principal = less(amount, self.receipt.fee);
        self.receipt.held = self.receipt.principal;
        (self.receipt.booked, self.receipt.settled) = (true, true);
        let parts = [(Part::Principal, self.receipt.principal), (Part::Fee, self.receipt.fee)];
        match arrival {
            Arrival::Credited(bank) => {
                let names = Names { place: Some(Location::Bank(bank.clone())), ..Names::default() };
                self.book(EntryKind::Received, &names, &parts)
            }
            _ => self.book(EntryKind::SuspenseAssigned, &Names::default(), &parts),
        }
    }

    /// What was announced is in the books.
    fn collect(&mut self, phase: Phase) -> Result<(), Refusal> {
        if self.receipt.booked {
            return Ok(());
        }
        self.receipt.booked = true;
        self.receipt.held = self.receipt.principal;
        let parts = [(Part::Principal, self.receipt.principal), (Part::Fee, self.receipt.fee)];
        self.book_as(EntryKind::Collected, phase, &Names::default(), &parts)
    }

    fn minted(&mut self, token: &str, amount: Units) -> Result<(), Refusal> {
        let mintable = amount.min(self.receipt.mintable);
        let held = less(amount, mintable).min(self.receipt.held);
        let owed = less(less(amount, mintable), held);
        self.receipt.mintable = less(self.receipt.mintable, mintable);
        self.receipt.held = less(self.receipt.held, held);
        self.receipt.minted = sum([self.receipt.minted, amount]);
        self.receipt.deficit = sum([self.receipt.deficit, held, owed]);
        let names = Names { token: Some(token.to_owned()), ..Names::default() };
        let parts = [(Part::Mintable, mintable), (Part::Held, held), (Part::Owed, owed)];
        self.book(EntryKind::Minted, &names, &parts)
    }

    fn float_paid(&mut self, chain: &str, amount: Units) -> Result<(), Refusal> {
        let cleared = amount.min(self.receipt.mintable);
        let (cash, cover) = self.take_out(cleared);
        self.receipt.mintable = less(self.receipt.mintable, cleared);
        let held = less(amount, cleared).min(self.receipt.held);
        let owed = less(less(amount, cleared), held);
        self.receipt.held = less(self.receipt.held, held);
        self.receipt.floated = sum([self.receipt.floated, amount]);
        let names = Names { chain: Some(chain.to_owned()), ..Names::default() };
        let parts = [(Part::Cash, cash), (Part::Cover, cover), (Part::Held, held), (Part::Owed, owed)];
        self.book(EntryKind::FloatPaid, &names, &parts)
    }

    fn returned(&mut self, trace: String, amount: Units, from: Location) -> Result<(), Refusal> {
        self.can_be_taken(amount)?;
        self.receipt.unknown = false;
        let mut taking = Taking {
            kind: TakingKind::Return,
            trace,
            state: TakingState::Lost,
            amount,
            held: Units(0),
            fee: Units(0),
            owed: Units(0),
        };
        if !self.receipt.booked {
            // Nothing was there yet, so that nothing is taken. Part of nothing is not understood before it settles.
            if amount != self.receipt.gross() {
                return Err(self.too_early(E::Returned));
            }
            self.receipt.takings.push(taking);
            return self.void();
        }
        self.unclear()?;
        let deficit = self.goes_missing(amount);
        (taking.held, taking.fee, taking.owed) = self.absorb(amount);
        let parts =
            [(Part::Held, taking.held), (Part::Fee, taking.fee), (Part::Owed, taking.owed), (Part::Deficit, deficit)];
        self.receipt.takings.push(taking);
        self.book(EntryKind::Returned, &Names { place: Some(from), ..Names::default() }, &parts)
    }

    fn opened(&mut self, trace: String, amount: Units, from: Location) -> Result<(), Refusal> {
        self.can_be_taken(amount)?;
        if !self.receipt.booked {
            return Err(self.too_early(E::ChargebackOpened));
        }
        self.unclear()?;
        let deficit = self.goes_missing(amount);
        self.receipt.takings.push(Taking {
            kind: TakingKind::Chargeback,
            trace,
            state: TakingState::Open,
            amount,
            held: Units(0),
            fee: Units(0),
            owed: Units(0),
        });
        let parts = [(Part::Amount, amount), (Part::Deficit, deficit)];
        self.book(EntryKind::ChargebackOpened, &Names { place: Some(from), ..Names::default() }, &parts)
    }

    fn lost(&mut self, trace: &str) -> Result<(), Refusal> {
        let at = self.taking(TakingKind::Chargeback, trace, E::ChargebackLost)?;
        let Some(amount) =
            self.receipt.takings.get(at).filter(|taking| taking.state == TakingState::Open).map(|t| t.amount)
        else {
            return Err(self.impossible(E::ChargebackLost));
        };
        let (held, fee, owed) = self.absorb(amount);
        if let Some(taking) = self.receipt.takings.get_mut(at) {
            (taking.state, taking.held, taking.fee, taking.owed) = (TakingState::Lost, held, fee, owed);
        }
        let parts = [(Part::Held, held), (Part::Fee, fee), (Part::Owed, owed)];
        self.book(EntryKind::ChargebackLost, &Names::default(), &parts)
    }

    /// The money is given back to us. The reserve gets it by [`Event::Restored`], when it stands at the bank.
    fn undone(&mut self, kind: TakingKind, trace: &str, to: Location) -> Result<(), Refusal> {
        let event = self.event.kind();
        let at = self.taking(kind, trace, event)?;
        let Some(taking) = self.receipt.takings.get_mut(at) else {
            return Err(self.too_early(event));
        };
        let was = std::mem::replace(&mut taking.state, TakingState::Undone);
        let (amount, held, fee, owed) = (taking.amount, taking.held, taking.fee, taking.owed);
        let names = Names { place: Some(to), ..Names::default() };
        match was {
            TakingState::Open => self.book(EntryKind::ChargebackWon, &names, &[(Part::Amount, amount)]),
            // It came back before it was there: now it is there.
            TakingState::Lost if !self.receipt.booked => self.collect(Phase::Single),
            TakingState::Lost => {
                self.receipt.held = sum([self.receipt.held, held]);
                let parts = [(Part::Held, held), (Part::Fee, fee), (Part::Owed, owed)];
                self.book(EntryKind::ReturnUndone, &names, &parts)
            }
            TakingState::Undone => Err(self.impossible(event)),
        }
    }

    fn clawed_back(&mut self, token: &str, amount: Units) -> Result<(), Refusal> {
        self.at_most(amount, self.receipt.minted)?;
        let deficit = amount.min(self.receipt.deficit);
        self.receipt.deficit = less(self.receipt.deficit, deficit);
        self.receipt.minted = less(self.receipt.minted, amount);
        let (cash, cover) = self.take_out(less(amount, deficit));
        let names = Names { token: Some(token.to_owned()), ..Names::default() };
        let parts = [(Part::Deficit, deficit), (Part::Cover, cover), (Part::Cash, cash)];
        self.book(EntryKind::ClawedBack, &names, &parts)
    }

    /// What is mintable is held again: its money is being taken, or given back.
    fn unclear(&mut self) -> Result<(), Refusal> {
        let amount = std::mem::take(&mut self.receipt.mintable);
        if amount.0 == 0 {
            return Ok(());
        }
        let (cash, cover) = self.take_out(amount);
        self.receipt.held = sum([self.receipt.held, amount]);
        self.book(EntryKind::Uncleared, &Names::default(), &[(Part::Cash, cash), (Part::Cover, cover)])
    }

    /// Takes money of this receipt out of the reserve, own capital first: (cash, cover).
    fn take_out(&mut self, amount: Units) -> (Units, Units) {
        let cover = amount.min(self.receipt.cover);
        let cash = less(amount, cover);
        self.receipt.cover = less(self.receipt.cover, cover);
        self.receipt.cash = less(self.receipt.cash, cash);
        (cash, cover)
    }

    /// How much of the customer's money in the reserve goes when `amount` is taken back. What is held goes first.
    fn goes_missing(&mut self, amount: Units) -> Units {
        let deficit = less(amount, self.receipt.held).min(self.receipt.cash);
        self.receipt.cash = less(self.receipt.cash, deficit);
        self.receipt.deficit = sum([self.receipt.deficit, deficit]);
        deficit
    }

    /// Whom it costs when `amount` is gone: what is held for the customer; then, if he has got nothing for it, his fee; then he
    /// owes it.
    fn absorb(&mut self, amount: Units) -> (Units, Units, Units) {
        let held = amount.min(self.receipt.held);
        self.receipt.held = less(self.receipt.held, held);
        let rest = less(amount, held);
        let gone =
            self.receipt.takings.iter().filter(|taking| taking.state != TakingState::Undone).map(|taking| taking.fee);
        let fee = match self.receipt.something_out() {
            true => Units(0),
            false => rest.min(less(self.receipt.fee, sum(gone))),
        };
        (held, fee, less(rest, fee))
    }

    fn taking(&self, kind: TakingKind, trace: &str, event: EventKind) -> Result<usize, Refusal> {
        let found = self.receipt.takings.iter().position(|taking| taking.kind == kind && taking.trace == trace);
        found.ok_or(self.too_early(event))
    }

    /// No more is taken back than was paid.
    fn can_be_taken(&self, amount: Units) -> Result<(), Refusal> {
        self.at_most(amount, less(self.receipt.gross(), self.receipt.taken()))
    }

    fn at_most(&self, said: Units, there: Units) -> Result<(), Refusal> {
        if said.0 == 0 || said > there { Err(self.amount(said, there)) } else { Ok(()) }
    }

    fn amount(&self, said: Units, there: Units) -> Refusal {
        Refusal::Amount { event: self.event.kind().as_str(), said, there }
    }

    fn too_early(&self, event: EventKind) -> Refusal {
        Refusal::TooEarly { state: self.receipt.state.as_str(), event: event.as_str() }
    }

    fn impossible(&self, event: EventKind) -> Refusal {
        Refusal::Impossible { state: self.receipt.state.as_str(), event: event.as_str() }
    }

    fn void(&mut self) -> Result<(), Refusal> {
        // What was never handed in was never announced.
        if self.receipt.state == S::Submitted {
            let pending = self.key(EntryKind::Collecting, "submitted");
            self.entries.push(Entry::void(self.key_of(EntryKind::NotCollected), pending));
        }
        Ok(())
    }

    fn key(&self, kind: EntryKind, reference: &str) -> Key {
        Key { source: format!("receipt/{}", self.receipt.id), reference: reference.to_owned(), kind }
    }

    fn key_of(&self, kind: EntryKind) -> Key {
        let event = self.event.kind();
        match self.event.trace() {
            "" => self.key(kind, event.as_str()),
            trace => self.key(kind, &format!("{event}/{trace}")),
        }
    }

    fn book(&mut self, kind: EntryKind, names: &Names, parts: &[(Part, Units)]) -> Result<(), Refusal> {
        self.book_as(kind, Phase::Single, names, parts)
    }

    fn book_as(
        &mut self,
        kind: EntryKind,
        phase: Phase,
        names: &Names,
        parts: &[(Part, Units)],
    ) -> Result<(), Refusal> {
        let names = Names {
            bank: Some(self.receipt.bank.clone()),
            provider: Some(self.receipt.provider.clone()),
            customer: Some(self.receipt.customer.clone()),
            ..names.clone()
        };
        self.entries.push(Entry::new(self.key_of(kind), phase, &names, parts)?);
        Ok(())
    }
}

words! {
    /// How likely it is that a customer's money is taken back.
    RiskTier {
        /// Known, and never was.
        Low = "low",
        /// Nothing is known.
        Normal = "normal",
        /// Something speaks against it.
        High = "high",
    }
}

words! {
    /// What the tokens are for.
    Purpose {
        /// An invoice of somebody else's.
        Invoice = "invoice",
        /// The customer's own wallet, or to be handed in for money: a card would be a cash machine.
        OwnWallet = "own_wallet",
    }
}

/// How long money is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Not at all, as far as own capital can stand in; beyond that as long as stands here, in banking days from settlement.
    AtOnceOr(u16),
    /// As long as this, in banking days from settlement.
    BankingDays(u16),
}

/// The default policy. The ordinary window of ACH is two banking days, and what comes on the last of them is known on the next; its
/// tail of sixty days is not held for but covered by own capital, limits and recourse.
pub const HOLDS: &[(FiatRail, RiskTier, Hold)] = &[
    (FiatRail::Card, RiskTier::Low, Hold::AtOnceOr(1)),
    (FiatRail::Card, RiskTier::Normal, Hold::AtOnceOr(2)),
    (FiatRail::Card, RiskTier::High, Hold::BankingDays(5)),
    (FiatRail::Ach, RiskTier::Low, Hold::BankingDays(3)),
    (FiatRail::Ach, RiskTier::Normal, Hold::BankingDays(4)),
    (FiatRail::Ach, RiskTier::High, Hold::BankingDays(10)),
    (FiatRail::Wire, RiskTier::Low, Hold::BankingDays(0)),
    (FiatRail::Wire, RiskTier::Normal, Hold::BankingDays(0)),
    (FiatRail::Wire, RiskTier::High, Hold::BankingDays(0)),
    (FiatRail::Rtp, RiskTier::Low, Hold::BankingDays(0)),
    (FiatRail::Rtp, RiskTier::Normal, Hold::BankingDays(0)),
    (FiatRail::Rtp, RiskTier::High, Hold::BankingDays(0)),
];

/// The policy's hold for a rail and tier.
pub fn hold(rail: FiatRail, risk: RiskTier) -> Hold {
    let row = HOLDS.iter().find(|(of, tier, _)| (*of, *tier) == (rail, risk));
    // Every pair is in the table, which a test holds to; what is not would be held long.
    row.map_or(Hold::BankingDays(10), |(.., hold)| *hold)
}

impl Hold {
    /// Whether the money may be minted at once: own capital stands in. `headroom`: own capital that is free for that.
    pub fn is_at_once(self, purpose: Purpose, amount: Units, headroom: Units) -> bool {
        matches!(self, Self::AtOnceOr(_)) && purpose == Purpose::Invoice && amount <= headroom
    }

    /// The day from which money that settled on `settled` may be minted.
    pub fn clears_on(self, settled: time::Date) -> time::Date {
        let (Self::AtOnceOr(days) | Self::BankingDays(days)) = self;
        match days {
            // Final when it is credited: on a Sunday too.
            0 => settled,
            days => crate::ach::after_banking_days(settled, days),
        }
    }
}

impl Receipt {
    /// Whether the wallet it pays into counts as funded: the money is accepted, so that paying mints and pays at once.
    pub fn is_funded(&self) -> bool {
        matches!(self.state, S::Cleared | S::Minted)
    }

    /// Whether tokens may be ordered for it: what is mintable, and nothing of it taken back.
    pub fn clearable(&self) -> Option<Units> {
        (self.state == S::Cleared && self.mintable.0 > 0 && self.taken().0 == 0).then_some(self.mintable)
    }
}
