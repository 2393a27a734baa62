//! Each client against its provider's sandbox, over real HTTP.
