//! What the sandbox knows, and what happens when its days pass.

use super::{Config, FeeModel, calendar};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::time::Instant;
use time::Date;

/// Banking days from a card payment to its settlement.
const CARD_SETTLES: u32 = 1;
/// Banking days from an ACH payment to its settlement.
const ACH_SETTLES: u32 = 2;
/// Banking days within which a bank sends back what it cannot book.
const RETURN_SOON: u32 = 2;
/// Days after which a consumer sends back what he has not agreed to.
const RETURN_LATE: i64 = 45;
/// Days from a card payment's settlement to the dispute, and from there to its end.
const DISPUTE: (i64, i64) = (10, 40);

/// Through which of the merchant ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Rail {
    Card,
    Ica,
    Cbp,
}

/// What a card or account does when it is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conduct {
    Approves,
    Declines,
    Disputes { won: bool },
    Returns { code: &'static str, late: bool },
}

impl Conduct {
    pub(super) fn of_card(number: &str) -> Self {
        match number {
            "4000000000000002" => Self::Declines,
            "4000000000000259" => Self::Disputes { won: false },
            "4000000000001976" => Self::Disputes { won: true },
            _ => Self::Approves,
        }
    }

    pub(super) fn of_account(number: &str) -> Self {
        match number.get(number.len().saturating_sub(4)..) {
            Some("0001") => Self::Returns { code: "R01", late: false },
            Some("0003") => Self::Returns { code: "R03", late: false },
            Some("0010") => Self::Returns { code: "R10", late: true },
            Some("0007") => Self::Returns { code: "R07", late: true },
            _ => Self::Approves,
        }
    }
}

/// Where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Approved,
    Pending,
    Declined,
    Voided,
    Settled,
    Returned,
}

impl Standing {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Approved => "APPROVED",
            Self::Pending => "PENDING",
            Self::Declined => "DECLINED",
            Self::Voided => "VOIDED",
            Self::Settled => "SETTLED",
            Self::Returned => "RETURNED",
        }
    }
}

/// A payment. Amounts in cents.
#[derive(Clone, Debug)]
pub(super) struct Payment {
    pub(super) id: String,
    pub(super) request: String,
    pub(super) rail: Rail,
    pub(super) charged: i64,
    /// On top, where the customer pays the fees.
    pub(super) fee: i64,
    pub(super) standing: Standing,
    pub(super) conduct: Conduct,
    pub(super) refunded: i64,
    /// What the reports say was settled, where that is not what was charged; `None` in it: nothing.
    pub(super) disagrees: Option<Option<i64>>,
    /// What the first answer was, for duplicates.
    pub(super) answer: Value,
}

/// What will happen on a banking day.
#[derive(Clone, Debug)]
pub(super) enum Due {
    /// A pending payment is approved.
    Approval(String),
    Settlement(String),
    Return(String, String),
    DisputeOpens(String),
    DisputeEnds {
        payment: String,
        won: bool,
    },
    Refund {
        payment: String,
        refund: String,
        cents: i64,
    },
    /// A payment of ours comes back to the bank.
    PayoutReturns {
        payout: usize,
        code: String,
    },
}

/// A line of the settlement report. Amounts in cents; above 0 is for us.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    pub(super) on: Date,
    pub(super) batch: String,
    pub(super) kind: &'static str,
    pub(super) reference: String,
    pub(super) gross: i64,
    pub(super) fee: i64,
    pub(super) transaction: String,
    pub(super) request: String,
    pub(super) code: String,
}

/// A line of the bank's statement.
#[derive(Clone, Debug)]
pub(super) struct Booked {
    pub(super) on: Date,
    pub(super) kind: &'static str,
    pub(super) cents: i64,
    pub(super) bank_reference: String,
    pub(super) reference: String,
    pub(super) name: String,
    pub(super) details: String,
    pub(super) code: String,
}

/// A payment of ours that the bank has carried out.
#[derive(Clone, Debug)]
pub(super) struct PaidOut {
    pub(super) cents: i64,
    pub(super) account: String,
    pub(super) reference: String,
    /// Routing number, name and kind of account, as the file had them; empty without a file.
    pub(super) routing: String,
    pub(super) name: String,
    pub(super) savings: bool,
    /// When it came back, and why.
    pub(super) returned: Option<(Date, String)>,
}

/// How notifications go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Normal,
    /// Each twice.
    Duplicate,
    /// Kept until the mode is another, then the last first.
    Reordered,
    /// None.
    Missing,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Done; no answer.
    SilentAfter,
    /// Not done; no answer.
    SilentBefore,
    /// Done; 500.
    ErrorAfter,
    /// Not done; 503.
    ErrorBefore,
    /// Not done; 401.
    Unauthorised,
    /// Done; the answer makes no sense.
    GarbageAfter,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) body: String,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) today: Date,
    /// By token: through which merchant id it is good, and until when.
    pub(super) gps_tokens: HashMap<String, (Rail, Instant)>,
    /// What cards and accounts are behind tokens: whether it is a card, and what it does. Their numbers are not kept.
    pub(super) stored: HashMap<String, (bool, Conduct)>,
    pub(super) payments: Vec<Payment>,
    pub(super) refunds: HashMap<String, Value>,
    pub(super) due: Vec<(Date, Due)>,
    pub(super) settled: Vec<Settled>,
    pub(super) booked: Vec<Booked>,
    pub(super) paid_out: Vec<PaidOut>,
    pub(super) webhook_url: Option<String>,
    pub(super) mode: Mode,
    pub(super) notifications: VecDeque<Value>,
    pub(super) faults: Vec<(String, Fault, u64)>,
    pub(super) seen: Vec<Seen>,
    drawn: u64,
}

impl State {
    pub(super) fn new(today: Date) -> Self {
        Self {
            today,
            gps_tokens: HashMap::new(),
            stored: HashMap::new(),
            payments: Vec::new(),
            refunds: HashMap::new(),
            due: Vec::new(),
            settled: Vec::new(),
            booked: Vec::new(),
            paid_out: Vec::new(),
            webhook_url: None,
            mode: Mode::Normal,
            notifications: VecDeque::new(),
            faults: Vec::new(),
            seen: Vec::new(),
            drawn: 0,
        }
    }

    /// A new id.
    pub(super) fn draw(&mut self, prefix: &str) -> String {
        self.drawn += 1;
        format!("{prefix}{:08}", self.drawn)
    }

    pub(super) fn payment(&mut self, id: &str) -> Option<&mut Payment> {
        self.payments.iter_mut().find(|payment| payment.id == id)
    }

    /// Tells us about a payment.
    pub(super) fn notify(&mut self, kind: &str, payment: &Payment, cents: i64) {
        let event = self.draw("EVT");
        self.notifications.push_back(json!({
            "eventId": event,
            "eventType": kind,
            "transactionId": payment.id,
            "clientRequestId": payment.request,
            "status": payment.standing.word(),
            "amount": dollars(cents),
            "occurredOn": self.today.to_string(),
        }));
    }

    /// When an approved payment is settled.
    pub(super) fn settles(&mut self, id: &str, rail: Rail) {
        let days = if rail == Rail::Card { CARD_SETTLES } else { ACH_SETTLES };
        self.due.push((calendar::working_days_after(self.today, days), Due::Settlement(id.to_owned())));
    }

    /// Lets the days pass until `to`. What is due happens on its day.
    pub(super) fn advance(&mut self, to: Date, config: &Config) {
        while self.today < to && self.today < calendar::last_day() {
            self.today = calendar::next(self.today);
            let first_line = self.settled.len();
            let batch = format!("B{}", self.today.to_string().replace('-', ""));
            let today = self.today;
            let (now, later) = std::mem::take(&mut self.due).into_iter().partition(|(on, _)| *on <= today);
            self.due = later;
            let now: Vec<(Date, Due)> = now;
            for (_, due) in now {
                self.happen(due, &batch, config);
            }
            let lines = self.settled.get(first_line..).unwrap_or_default();
            let net: i64 = lines.iter().map(|line| line.gross - line.fee).sum();
            if net != 0 {
                let kind = if net > 0 { "ACH CREDIT" } else { "ACH DEBIT" };
                self.book(kind, net, &batch, "TILLIPAY SETTLEMENT", "");
            }
        }
    }

    /// Puts a line on the bank's statement.
    pub(super) fn book(&mut self, kind: &'static str, cents: i64, reference: &str, name: &str, code: &str) {
        let bank_reference = self.draw("BK");
        self.booked.push(Booked {
            on: self.today,
            kind,
            cents,
            bank_reference,
            reference: reference.to_owned(),
            name: name.to_owned(),
            details: String::new(),
            code: code.to_owned(),
        });
    }

    fn happen(&mut self, due: Due, batch: &str, config: &Config) {
        let id = match &due {
            Due::Approval(id) | Due::Settlement(id) | Due::Return(id, _) | Due::DisputeOpens(id) => id.clone(),
            Due::DisputeEnds { payment, .. } | Due::Refund { payment, .. } => payment.clone(),
            Due::PayoutReturns { payout, code } => {
                let today = self.today;
                if let Some(paid) = self.paid_out.get_mut(*payout) {
                    paid.returned = Some((today, code.clone()));
                    let (cents, reference, name) = (paid.cents, paid.reference.clone(), paid.name.clone());
                    self.book("ACH RETURN", cents, &reference, &name, code);
                }
                return;
            }
        };
        let Some(mut payment) = self.payment(&id).cloned() else { return };
        let amount = payment.disagrees.map_or(payment.charged, |says| says.unwrap_or(0));
        let report = |kind, reference: &str, gross: i64, fee: i64, code: &str| Settled {
            on: self.today,
            batch: batch.to_owned(),
            kind,
            reference: reference.to_owned(),
            gross,
            fee,
            transaction: id.clone(),
            request: payment.request.clone(),
            code: code.to_owned(),
        };
        match due {
            Due::Approval(_) if payment.standing == Standing::Pending => {
                payment.standing = Standing::Approved;
                self.settles(&id, payment.rail);
                self.notify("payment.approved", &payment, payment.charged);
            }
            Due::Settlement(_) if payment.standing == Standing::Approved => {
                let mut lines = Vec::new();
                if payment.disagrees != Some(None) {
                    match config.fee_model {
                        FeeModel::Absorption => {
                            let points = i64::try_from(config.fee_basis_points).unwrap_or(0);
                            let fixed = i64::try_from(config.fee_cents).unwrap_or(0);
                            let fee = amount * points / 10_000 + fixed;
                            lines.push(report("SALE", &id, amount, fee, ""));
                        }
                        FeeModel::Convenience => {
                            lines.push(report("SALE", &id, amount, 0, ""));
                            if payment.fee > 0 {
                                lines.push(report("CONV FEE", &id, payment.fee, payment.fee, ""));
                            }
                        }
                    }
                }
                self.settled.extend(lines);
                payment.standing = Standing::Settled;
                self.notify("payment.settled", &payment, payment.charged);
                match payment.conduct {
                    Conduct::Returns { code, late } => {
                        let on = match late {
                            true => calendar::days_after(self.today, RETURN_LATE),
                            false => calendar::working_days_after(self.today, RETURN_SOON),
                        };
                        self.due.push((on, Due::Return(id.clone(), code.to_owned())));
                    }
                    Conduct::Disputes { won } => {
                        let opens = calendar::days_after(self.today, DISPUTE.0);
                        let ends = calendar::days_after(self.today, DISPUTE.1);
                        self.due.push((opens, Due::DisputeOpens(id.clone())));
                        self.due.push((ends, Due::DisputeEnds { payment: id.clone(), won }));
                    }
                    Conduct::Approves | Conduct::Declines => {}
                }
            }
            Due::Return(_, code) if payment.standing == Standing::Settled => {
                let line = report("RETURN", &format!("{id}-RET"), -amount, 0, &code);
                self.settled.push(line);
                payment.standing = Standing::Returned;
                self.notify("payment.returned", &payment, amount);
            }
            // It can come back before it is settled too: then there is nothing to take.
            Due::Return(..) if payment.standing == Standing::Approved => {
                payment.standing = Standing::Returned;
                self.notify("payment.returned", &payment, amount);
            }
            Due::DisputeOpens(_) if payment.standing == Standing::Settled => {
                let fee = i64::try_from(config.dispute_fee_cents).unwrap_or(0);
                let line = report("DISPUTE", &format!("{id}-DIS"), -amount, fee, "");
                self.settled.push(line);
                self.notify("chargeback.opened", &payment, amount);
            }
            Due::DisputeEnds { won, .. } if payment.standing == Standing::Settled => {
                let (kind, gross, event) = match won {
                    true => ("DISPUTE WON", amount, "chargeback.won"),
                    false => ("DISPUTE LOST", 0, "chargeback.lost"),
                };
                let line = report(kind, &format!("{id}-DIS"), gross, 0, "");
                self.settled.push(line);
                self.notify(event, &payment, amount);
            }
            Due::Refund { refund, cents, .. } => {
                let line = report("REFUND", &refund, -cents, 0, "");
                self.settled.push(line);
                self.notify("payment.refunded", &payment, cents);
            }
            _ => {}
        }
        if let Some(kept) = self.payment(&id) {
            *kept = payment;
        }
    }
}

/// `12.34` as cents.
pub(super) fn cents(text: &str) -> Option<i64> {
    let (whole, decimals) = text.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if decimals.len() != 2 || whole.len() > 12 || !digits(whole) || !digits(decimals) {
        return None;
    }
    Some(whole.parse::<i64>().ok()? * 100 + decimals.parse::<i64>().ok()?)
}

/// Cents as `12.34`.
pub(super) fn dollars(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
}
