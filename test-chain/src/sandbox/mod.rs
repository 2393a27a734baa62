//! The companies that hold and move dollars for us, as servers of our own: their documented HTTP, states that move when a test
//! says so, and faults on purpose. They share no types with the clients.

pub mod circle;
//! Sandboxes of the companies we work with: servers that speak their HTTP, and fail on purpose. They share no types with our
//! clients, so that a mistake in one is not a mistake in both.
pub mod tilli;
