//! The companies that hold and move dollars for us, as servers of our own: their documented HTTP, states that move when a test
//! says so, and faults on purpose. They share no types with the clients.

pub mod circle;
pub mod tilli;
