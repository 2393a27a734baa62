#!/usr/bin/env bash
# Schemathesis over a running installation: api/schemathesis.sh MONAY SCHEMATHESIS EXAMPLES [OPTION...]
#
# Starts `monay devnet --services` (ports as the system gives them), makes a second tenant, and reads the OpenAPI document
# the service serves. As two tenants who must not see each other's invoices, then without a key. Whatever happens, the
# network is stopped. MONAY is the program, SCHEMATHESIS the folder it is installed in, EXAMPLES how many per route.
set -euo pipefail
config_file=$(realpath "$(dirname "${BASH_SOURCE[0]}")/schemathesis.toml")
monay=$(realpath "$1") schemathesis=$(realpath "$2") examples=$3
shift 3

work=$(mktemp -d "${TMPDIR:-/tmp}/monay-api.XXXXXX")
network=
end() {
  [ -z "$network" ] || { kill -INT "$network" 2>/dev/null; wait "$network" 2>/dev/null; } || true
  rm -rf "$work"
}
trap end EXIT
# Schemathesis keeps what it found in the folder it is called in.
cd "$work"

# What the network prints: a name in the first columns, then what it is.
told() { sed -n "s/^  $1  *//p" "$work/devnet" | cut -d ' ' -f 1; }

# Job control: otherwise what runs in the background would not hear Ctrl-C, nor this script's SIGINT.
set -m
"$monay" devnet --services >"$work/devnet" 2>&1 &
network=$!
set +m
for _ in $(seq 600); do
  ! grep -q '^  keeper ' "$work/devnet" || break
  kill -0 "$network" 2>/dev/null || break
  sleep 0.1
done
url=$(told API | head -1) key=$(told 'API key') config=$(told configuration)
[ -n "$url" ] && [ -n "$key" ] || { cat "$work/devnet" >&2; echo "error: the network did not start" >&2; exit 1; }
other=$("$monay" --config "$config" tenant --id tenant-second --name Second \
  --payee 0x2000000000000000000000000000000000000002 --unclaimed 0x3000000000000000000000000000000000000003)

# So that the routes behind a pay link are asked about an invoice too.
export PAY_TOKEN
PAY_TOKEN=$(curl -sf "$url/api/invoices/create" -H "Authorization: Bearer $key" -H 'Content-Type: application/json' \
  -d '{"amount": 150}' | sed 's|.*/pay/\([0-9a-z]*\).*|\1|')

person() { printf '  - name: %s\n    fixedHeaders:\n      - { name: Authorization, value: Bearer %s }\n' "$1" "$2"; }
{ echo "auth:"; person first "$key"; person second "$other"; } >"$work/people.yaml"
{ cat "$config_file"; printf '\n[auth.wfc]\npath = "%s"\npeers = ["first", "second"]\n' "$work/people.yaml"; } >"$work/with.toml"
{ cat "$config_file"; printf '\n[parameters]\n"path.token" = "${PAY_TOKEN}"\n'; } >"$work/link.toml"

# run NAME CONFIGURATION OPTION...
run() {
  local name=$1 file=$2
  shift 2
  if ! PYTHONPATH=$schemathesis python3 -m schemathesis.cli --config-file "$file" run "$url/openapi.json" \
    --no-color --report-dir "$work/report" "$@" >"$work/out" 2>&1; then
    cat "$work/out"
    echo "error: Schemathesis found something, $name"
    return 1
  fi
  sed -n 's/^  \([0-9]* generated.*\)/\1/p' "$work/out" | sed "s/^/$name: /"
}
code=0
run "with two tenants' keys" "$work/with.toml" --max-examples "$examples" "$@" || code=1
run "without a key" "$config_file" --max-examples "$examples" --phases examples,coverage,fuzzing "$@" || code=1
run "behind a pay link" "$work/link.toml" --include-path-regex '^/pay/' --max-examples "$examples" \
  --phases examples,coverage,fuzzing "$@" || code=1
# Whatever was answered: a panic or an error of ours is in the log.
if grep -hE ' ERROR |panicked' "$(dirname "$config")/api.log"; then
  echo "error: the service logged errors"
  code=1
fi
exit $code
