//! Payouts that people make: two of them, who say the same.

use super::{Destination, WithdrawalId};
use crate::Error;

/// What they are asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Of which withdrawal.
    pub id: WithdrawalId,
    /// How much, in cents.
    pub cents: u64,
    /// Where to.
    pub to: Destination,
}

/// What one of them says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// Who says so: the id of the person who is logged in, not a name that is typed.
    pub person: String,
    /// Of which withdrawal.
    pub id: WithdrawalId,
    /// How much was paid, in cents.
    pub cents: u64,
    /// The bank's reference of the payment.
    pub bank_reference: String,
}

/// Where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has said anything.
    Waiting,
    /// One has, another one must.
    Half(Confirmation),
    /// Two have, and said the same.
    Done {
        /// The first.
        first: Confirmation,
        /// The other.
        second: Confirmation,
    },
}

impl Standing {
    /// Where it stands after `said`. What does not fit is refused and changes nothing.
    pub fn confirm(self, order: &Order, said: Confirmation) -> Result<Self, Error> {
        let wrong = |why: &str| Err(Error::Input(format!("withdrawal {}: {why}", order.id)));
        if said.id != order.id {
            return wrong("the confirmation is of another withdrawal");
        }
        if said.person.trim().is_empty() || said.bank_reference.trim().is_empty() {
            return wrong("say who confirms, and give the bank's reference");
        }
        if said.cents != order.cents {
            return wrong("the amount confirmed is not the amount ordered; tell whoever made the payment");
        }
        match self {
            Self::Waiting => Ok(Self::Half(said)),
            Self::Half(first) if first.person.trim() == said.person.trim() => {
                wrong("another person must confirm it than the first one")
            }
            Self::Half(first) if first.bank_reference.trim() != said.bank_reference.trim() => {
                wrong("the two name different payments; one of them is wrong, or it was paid twice")
            }
            Self::Half(first) => Ok(Self::Done { first, second: said }),
            Self::Done { .. } => wrong("it is confirmed already"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_manual_payout_is_done_when_two_different_people_say_the_same() {
        let id = WithdrawalId(Uuid::nil());
        let order = Order { id, cents: 15_000, to: Destination::CircleAccount("a".to_owned()) };
        let says = |person: &str, cents, reference: &str| Confirmation {
            person: person.to_owned(),
            id,
            cents,
            bank_reference: reference.to_owned(),
        };
        assert!(Standing::Waiting.confirm(&order, says("ada", 14_999, "REF1")).is_err());
        assert!(Standing::Waiting.confirm(&order, says(" ", 15_000, "REF1")).is_err());
        let other = Confirmation { id: WithdrawalId(Uuid::max()), ..says("ada", 15_000, "REF1") };
        assert!(Standing::Waiting.confirm(&order, other).is_err());
        let half = Standing::Waiting.confirm(&order, says("ada", 15_000, "REF1")).unwrap();
        for refused in [says("ada", 15_000, "REF1"), says("ada ", 15_000, "REF1"), says("bob", 15_000, "REF2")] {
            assert!(half.clone().confirm(&order, refused).is_err());
        }
        let done = half.confirm(&order, says("bob", 15_000, "REF1")).unwrap();
        assert!(matches!(done, Standing::Done { .. }));
        assert!(done.confirm(&order, says("eve", 15_000, "REF1")).is_err());
    }
}
