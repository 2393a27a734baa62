//! What the runtime is asked. Each function wraps one system call.
#![allow(unsafe_code, reason = "system calls take pointers")]

use pinocchio::error::ProgramError;
use pinocchio::sysvars::{Sysvar, clock::Clock, get_sysvar_unchecked, rent::RENT_ID};

/// SHA-256 of some parts, one after the other.
#[inline(always)]
pub fn sha256<const N: usize>(parts: [&[u8]; N]) -> [u8; 32] {
    let mut hash = [0; 32];
    #[cfg(any(target_os = "solana", target_arch = "bpf"))]
    // SAFETY: a slice of slices is what the call reads, and 32 bytes are what it writes.
    unsafe {
        pinocchio::syscalls::sol_sha256(parts.as_ptr().cast(), N as u64, hash.as_mut_ptr());
    }
    #[cfg(not(any(target_os = "solana", target_arch = "bpf")))]
    core::hint::black_box((parts, &mut hash));
    hash
}

/// The chain's time, unix seconds.
#[inline(always)]
pub fn now() -> Result<i64, ProgramError> {
    Ok(Clock::get()?.unix_timestamp)
}

/// The lamports below which no account of that many bytes may be left. Read each time: the rate changes.
#[inline(always)]
pub fn minimum_balance(bytes: u64) -> Result<u64, ProgramError> {
    // Lamports per byte, then how many years of them are enough: a float, 2.0 or, as it is to be, 1.0.
    let mut rent = [0u64; 2];
    // SAFETY: 16 bytes of the sysvar fit into 16 bytes.
    unsafe { get_sysvar_unchecked(rent.as_mut_ptr().cast(), &RENT_ID, 0, 16)? };
    let [per_byte, threshold] = rent;
    let years = match threshold {
        0x3ff0_0000_0000_0000 => 1,
        0x4000_0000_0000_0000 => 2,
        _ => return Err(ProgramError::ArithmeticOverflow),
    };
    // Bytes that every account is charged for besides its data.
    let charged = bytes.saturating_add(128);
    // What a product of 64 bits cannot say is refused; 128 bits are not to be had.
    if per_byte > u64::MAX / 2 / (16 << 20) || charged > 16 << 20 {
        return Err(ProgramError::ArithmeticOverflow);
    }
    Ok(charged * per_byte * years)
}

/// Whether there can be a key to this address: then it is no program's.
#[inline(always)]
pub fn is_on_curve(address: &[u8; 32]) -> bool {
    #[cfg(any(target_os = "solana", target_arch = "bpf"))]
    // SAFETY: 32 bytes are what the call reads; 0 is edwards25519. It writes nothing where it is given no place.
    unsafe {
        pinocchio::syscalls::sol_curve_validate_point(0, address.as_ptr(), core::ptr::null_mut()) == 0
    }
    #[cfg(not(any(target_os = "solana", target_arch = "bpf")))]
    core::hint::black_box(address).is_empty()
}
