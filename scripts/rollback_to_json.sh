#!/usr/bin/env bash
# Goes back: from the store to the legacy JSON file, or one phase where both are written.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: scripts/rollback_to_json.sh [OPTIONS]

Goes back. From the phase `database` or `complete`: exports the store as a JSON file with everything
that was recorded since the cutover, loads it by the legacy tracker's rules, and puts it in the
place of the old one, of which a copy is kept. Where both sides are written: one phase back.
Without --execute it only says what it would do.

OPTIONS go to `metrics-store legacy rollback`, among them:
  --json-file FILE   the legacy JSON file (default: .session-buddy/skill_metrics.json)
  --db FILE          the store (default: the one that the migration names)
  --execute          do it
  --rehearse         go the way back on copies
  --json             print the result as JSON

  -h, --help         this text

Exit codes: 0 fine, 2 usage or a phase that does not allow it, 3 error.
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

need_venv core
exec "$VENV/bin/metrics-store" legacy rollback "$@"
