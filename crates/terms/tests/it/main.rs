//! Terms, hashes and addresses.

mod address;
