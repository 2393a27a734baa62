//! What is stored per terms hash and chain: PROTOCOL §3.

/// "One slot per terms hash and chain": `paid`, `status`, `since`. Untouched: all zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// What the payee has had, ever, in base units of the invoice's token.
    pub paid: u128,
    /// Where the invoice stands.
    pub status: Status,
    /// When [`Status::Paid`] or [`Status::Cancelled`] was reached, unix seconds.
    pub since: u64,
}

/// "0 open, 1 paid in full, 2 cancelled". Never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Status {
    /// Can be settled, paid and cancelled until closesAt.
    #[default]
    Open = 0,
    /// The payee has had the whole amount.
    Paid = 1,
    /// By payee or settler. What was passed on stays passed on.
    Cancelled = 2,
}

impl Status {
    /// From the number in slots and events.
    pub const fn from_u8(status: u8) -> Option<Self> {
        match status {
            0 => Some(Self::Open),
            1 => Some(Self::Paid),
            2 => Some(Self::Cancelled),
            _ => None,
        }
    }

    /// The number in slots and events.
    pub const fn as_u8(self) -> u8 {
        self as u8
    }
}
