#!/usr/bin/env bash
# Backs the store up. For cron, every night at 02:17 in the directory of the runner, with mail only
# if something is wrong (crontab -e):
#
#   17 2 * * * cd /srv/runner && /opt/metrics_store/scripts/backup.sh --quiet --keep-daily 14
#
# For systemd: examples/systemd/metrics-store-backup.timer.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: scripts/backup.sh [--quiet] [DIR] [OPTIONS]

Copies the store while others write, checks the copy in full, gives it its name, and deletes the
older backups that no rule keeps. The check runs with low priority; the copying does not (so do not
put `nice` before this), for meanwhile the store's log grows.

  DIR         where the backup goes (default: NAME.backups beside the store)
  --quiet     say nothing if all is well
  -h, --help  this text

OPTIONS go to `metrics-store backup create`, among them:
  --db FILE         the store (default: METRICS_STORE_DB, else .session-buddy/skill_metrics.db)
  --keep-last N     keep the newest N (7)
  --keep-daily N    keep the newest of each of the last N days (7)
  --keep-weekly N   keep the newest of each of the last N weeks (4)
  --keep-all        delete no older backup
  --json            print the result as JSON

Exit codes: 0 fine, 1 the store is damaged, 2 usage or no room, 3 error.
USAGE
}

quiet=""
given=()
for argument in "$@"; do
  case "$argument" in
    -h | --help)
      usage
      exit 0
      ;;
    --quiet) quiet=yes ;;
    *) given+=("$argument") ;;
  esac
done

# shellcheck source=scripts/_venv.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/_venv.sh"

need_venv core
[[ -z $quiet ]] || exec >/dev/null
exec "$VENV/bin/metrics-store" backup create --gently ${given[@]+"${given[@]}"}
