//! Where the programs are on a local network. Their keys are public, so that anybody can deploy them there: the seed of each
//! key pair is SHA-256 of a name and one byte, the first for which all addresses that the program signs for exist at bump 255.

use crate::Key;

/// The escrow.
pub const ESCROW: Key = [
    163, 151, 76, 216, 138, 39, 126, 65, 102, 134, 0, 188, 106, 249, 118, 148, 113, 196, 106, 238, 124, 67, 14, 103,
    122, 162, 227, 58, 122, 249, 96, 10,
];
/// Hashed, with [`ESCROW_COUNTER`] after it, it is the seed of the escrow's key pair.
pub const ESCROW_NAME: &[u8] = b"monay local invoice-escrow";
/// The first for which the event authority exists.
pub const ESCROW_COUNTER: u8 = 1;

/// The gate.
pub const GATE: Key = [
    131, 125, 209, 2, 103, 214, 97, 116, 15, 243, 127, 25, 226, 139, 47, 182, 110, 103, 31, 14, 229, 217, 66, 13, 60,
    174, 196, 210, 244, 63, 94, 156,
];
/// Hashed, with [`GATE_COUNTER`] after it, it is the seed of the gate's key pair.
pub const GATE_NAME: &[u8] = b"monay local settlement-gate";
/// The first for which gate, both configs and the redemption address exist.
pub const GATE_COUNTER: u8 = 11;
