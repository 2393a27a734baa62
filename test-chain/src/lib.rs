//! The local networks: PostgreSQL, Anvil and Surfpool, started and stopped as child processes, with our contracts on the
//! chains.
//!
//! Nothing is left behind. Every server runs under a watchdog: a small shell that waits for the end of a pipe whose
//! other end this process holds. When the handle is stopped or dropped, when a test panics, and also when this process
//! is killed with SIGKILL, the pipe ends, and the watchdog stops the server and removes its directory.
//!
//! Servers run in process groups of their own, so that Ctrl-C in a terminal reaches the program that started them and
//! not them: it decides in which order they stop. Unix only.

mod anvil;
pub mod contracts;
mod error;
mod node;
mod postgres;
mod process;
mod progress;
mod proxy;
pub mod sandbox;
pub mod solana;
mod surfpool;
pub mod tempo;
pub mod tools;

pub use anvil::{Anvil, AnvilOptions, DEV_ACCOUNTS, DevAccount, Mining, Rules};
pub use error::Error;
pub use node::Node;
pub use postgres::{Postgres, PostgresOptions};
pub use process::Process;
pub use progress::Progress;
pub use proxy::{Fault, Proxy};
pub use solana::{Mint, SolanaNode};
pub use surfpool::{Surfpool, SurfpoolOptions};
