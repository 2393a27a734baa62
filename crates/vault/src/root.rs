//! The root key: 32 bytes in a file that nobody else may read.

use crate::{Error, random};
use alloy_primitives::hex;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const BYTES: usize = 32;
const DIGITS: usize = 2 * BYTES;

/// The key under which all others are sealed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct RootKey([u8; BYTES]);

impl RootKey {
    /// Reads a root key file. Refuses one that group or others have any right to.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::File { action: "cannot read", path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed)?;
        // The rights of the opened file, not of whatever has the name a moment later.
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(Error::Malformed(path.to_owned()));
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(Error::Exposed { path: path.to_owned(), mode });
        }
        // Digits, a line end, and one byte more that shows whether the file is longer.
        let mut text = Zeroizing::new([0; DIGITS + 3]);
        let mut length = 0;
        while let Some(rest) = text.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match file.read(rest).map_err(failed)? {
                0 => break,
                read => length += read,
            }
        }
        let malformed = || Error::Malformed(path.to_owned());
        let digits = text.get(..length).map(<[u8]>::trim_ascii_end).ok_or_else(malformed)?;
        let mut key = Self([0; BYTES]);
        if digits.len() != DIGITS || hex::decode_to_slice(digits, &mut key.0).is_err() {
            return Err(malformed());
        }
        Ok(key)
    }

    /// Makes a new root key and writes it to a file that only its owner can read. Never overwrites.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::File { action: "cannot write", path: path.to_owned(), source };
        let mut key = Self([0; BYTES]);
        random(&mut key.0)?;
        let mut text = Zeroizing::new([b'\n'; DIGITS + 1]);
        hex::encode_to_slice(key.0, text.get_mut(..DIGITS).unwrap_or_default())
            .map_err(|error| failed(std::io::Error::other(error)))?;
        let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(Error::Exists(path.to_owned()));
            }
            opened => opened.map_err(failed)?,
        };
        if let Err(error) = file.write_all(text.as_slice()).and_then(|()| file.sync_all()) {
            // Half a key would stand in the way of a whole one.
            let _ = fs::remove_file(path);
            return Err(failed(error));
        }
        Ok(key)
    }

    pub(crate) fn bytes(&self) -> &[u8; BYTES] {
        &self.0
    }
}

impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootKey(..)")
    }
}
