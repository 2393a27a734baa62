//! What the `monay` binary is made of: configuration, the services as processes, the local networks and the demo.

pub mod config;
pub mod demo;
pub mod doctor;
pub mod error;
pub mod rebuild;
pub mod recover;
pub mod repair;
pub mod seeded;
pub mod services;
pub mod setup;
pub mod stack;

pub use error::Error;
