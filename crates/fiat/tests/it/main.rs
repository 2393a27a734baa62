//! Each client against its provider's sandbox, over real HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Helpers of tests are no tests to clippy.

mod circle;
mod tilli;
