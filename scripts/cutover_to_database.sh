#!/usr/bin/env bash
# Leads up to the cutover and does it: status, full verify, rehearsal of the way back, cutover.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: scripts/cutover_to_database.sh [OPTIONS]

Shows where the migration stands, compares every record of the JSON file with the store, rehearses
the way back on copies, and then cuts over. Without --execute the cutover only says what it would
do. It stops where the comparison or the rehearsal finds a problem.

OPTIONS go to `metrics-store legacy cutover`, among them:
  --json-file FILE        the legacy JSON file (default: .session-buddy/skill_metrics.json)
  --db FILE               the store (default: the one that the migration names)
  --execute               do it
  --force --reason TEXT   pass a gate that is not met; the reason is kept
  --json                  print the cutover's result as JSON

  -h, --help              this text

Exit codes: 0 fine, 1 a difference that nobody has explained, 2 usage or gate not met, 3 error.
USAGE
}

for argument in "$@"; do
  case "$argument" in
    -h | --help)
      usage
      exit 0
      ;;
  esac
done

# shellcheck source=scripts/_venv.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/_venv.sh"

# What names the migration goes to every command; the rest to the cutover alone.
named=()
previous=""
for argument in "$@"; do
  case "$argument" in
    --json-file=* | --db=*) named+=("$argument") ;;
    *) [[ $previous != --json-file && $previous != --db ]] || named+=("$previous" "$argument") ;;
  esac
  previous="$argument"
done

need_venv core
legacy() { "$VENV/bin/metrics-store" legacy "$@"; }

# To stderr: stdout is the cutover's.
say "== status"
# What asks for somebody (1) may be mended by what follows; what cannot be told may not.
status=0
legacy status ${named[@]+"${named[@]}"} >&2 || status=$?
[[ $status -le 1 ]] || exit "$status"
say "" "== verify"
legacy verify ${named[@]+"${named[@]}"} >&2
say "" "== rehearsal of the way back"
legacy rollback --rehearse ${named[@]+"${named[@]}"} >&2
say "" "== cutover"
legacy cutover "$@"
