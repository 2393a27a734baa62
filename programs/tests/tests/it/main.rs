//! The compiled programs, in LiteSVM.

mod cu;
