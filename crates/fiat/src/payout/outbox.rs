//! The folder that files for banks are put into.
//!
//! A file is there whole or not at all, under one name, for ever the same bytes. And a withdrawal is in one file only: beside the
//! files there is a note per withdrawal that names its file, made before the file is. Whoever crashes in between, or comes back
//! with an old database, finds the note.

use super::WithdrawalId;
use crate::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// A file for a bank. Its name is made of the caller's batch id.
#[derive(Clone, PartialEq, Eq)]
pub struct BankFile {
    /// Its name, without a folder.
    pub name: String,
    /// What is in it: account numbers, so it is not shown.
    pub bytes: Vec<u8>,
    /// The withdrawals that it pays.
    pub withdrawals: Vec<WithdrawalId>,
}

impl std::fmt::Debug for BankFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BankFile({}, {} withdrawals)", self.name, self.withdrawals.len())
    }
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is there now.
    Written(PathBuf),
    /// It was there already, with the same bytes.
    AlreadyThere(PathBuf),
}

/// The folder. For one machine; files and notes are readable by their owner only.
#[derive(Clone, Debug)]
pub struct Outbox {
    folder: PathBuf,
    notes: PathBuf,
}

impl Outbox {
    /// Uses `folder`, and makes it if it is not there.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let notes = folder.join("withdrawals");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&notes)
            .map_err(Error::io(format!("make the folder {}", notes.display())))?;
        sync(folder)?;
        Ok(Self { folder: folder.to_owned(), notes })
    }

    /// Writes `file`, once. Doing it again does nothing, from any process. A file of that name with other bytes, and a
    /// withdrawal that is in another file, are errors.
    pub fn put(&self, file: &BankFile) -> Result<Put, Error> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if file.name.is_empty() || file.name.starts_with('.') || !file.name.bytes().all(fits) {
            return Err(Error::Input(
                "a file's name has letters, digits and ._- and begins with none of these".to_owned(),
            ));
        }
        let path = self.folder.join(&file.name);
        if let Some(there) = self.there(&path, file)? {
            return Ok(there);
        }
        // All are looked at before the first note is made, so that a batch that cannot be written leaves as few as possible.
        for id in &file.withdrawals {
            self.free(*id, &file.name)?;
        }
        for id in &file.withdrawals {
            let note = self.notes.join(id.to_string());
            match self.place(&note, file.name.as_bytes())? {
                true => {}
                false => self.free(*id, &file.name)?,
            }
        }
        sync(&self.notes)?;
        if self.place(&path, &file.bytes)? {
            sync(&self.folder)?;
            return Ok(Put::Written(path));
        }
        self.there(&path, file)?.ok_or_else(|| Error::Written(format!("{} has just vanished", path.display())))
    }

    fn there(&self, path: &Path, file: &BankFile) -> Result<Option<Put>, Error> {
        match fs::read(path) {
            Ok(bytes) if bytes == file.bytes => Ok(Some(Put::AlreadyThere(path.to_owned()))),
            Ok(_) => Err(Error::Written(format!(
                "{} is there with other contents. Look at what was sent to the bank before anything else",
                path.display()
            ))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(format!("read {}", path.display()))(error)),
        }
    }

    /// An error if the withdrawal is in another file than `name`.
    fn free(&self, id: WithdrawalId, name: &str) -> Result<(), Error> {
        let note = self.notes.join(id.to_string());
        match fs::read(&note) {
            Ok(other) if other == name.as_bytes() => Ok(()),
            Ok(other) => {
                let other = String::from_utf8_lossy(&other).into_owned();
                Err(Error::Written(format!("withdrawal {id} is in the file {other} already, so it is not in {name}")))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io(format!("read {}", note.display()))(error)),
        }
    }

    /// Puts a file in its place, whole, unless one is there. A link and not a renaming, because that would overwrite.
    fn place(&self, path: &Path, bytes: &[u8]) -> Result<bool, Error> {
        let temporary = self.folder.join(format!(".{}.part", Uuid::new_v4()));
        let doing = || format!("write {}", path.display());
        let written = write(&temporary, bytes).and_then(|()| match fs::hard_link(&temporary, path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        });
        let removed = fs::remove_file(&temporary);
        let written = written.map_err(Error::io(doing()))?;
        removed.map_err(Error::io(doing()))?;
        Ok(written)
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Names in a folder last only when the folder is written too.
fn sync(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io(format!("write {}", folder.display())))
}
