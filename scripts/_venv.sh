# shellcheck shell=bash
# Sourced by the scripts beside it: gives them an up-to-date virtual environment.
#
#   need_venv core|test|dev    makes or refreshes .venv; afterwards $VENV is its path
#
# Says on stderr what it does, one line, and nothing when there is nothing to do. Calls that run
# at the same time wait for each other. Exits 3 when it cannot.

ROOT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
VENV="$ROOT/.venv"

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "$@"
  exit 3
}

# A pyenv shim exists and fails when run, so a Python counts only once it has run.
runs_311() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

can_make_venvs() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

find_python() {
  local candidate without_venv=""
  for candidate in "${PYTHON:-}" python3.14 python3.13 python3.12 python3.11 python3 python; do
    [[ -n $candidate ]] || continue
    if ! runs_311 "$candidate"; then
      [[ $candidate != "${PYTHON:-}" ]] ||
        say "PYTHON=$candidate is not a working Python >= 3.11; looking for another."
    elif ! can_make_venvs "$candidate"; then
      without_venv="${without_venv:-$candidate}"
    else
      printf '%s\n' "$candidate"
      return
    fi
  done
  if [[ -n $without_venv ]]; then
    local version
    version="$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    fail "$without_venv (Python $version) cannot make virtual environments: its venv module is not installed."$'\n'"On Debian or Ubuntu: apt-get install python$version-venv"
  fi
  fail "No Python >= 3.11 found (tried \$PYTHON, python3.14 to python3.11, python3, python)."$'\n'"Install one, or name yours: PYTHON=/path/to/python3 $0"
}

# What an installed environment was made from. A venv does not survive being moved, hence $ROOT.
fingerprint() { { printf '%s\n' "$ROOT"; cat -- "$ROOT/pyproject.toml"; } | cksum; }

# An environment with a larger extra serves a smaller one.
is_installed() {
  local wanted="$1" extra
  [[ -x $VENV/bin/python ]] || return 1
  for extra in core test dev; do
    [[ $extra != "$wanted" ]] || wanted=""
    [[ -z $wanted && -f $VENV/.installed-$extra ]] || continue
    [[ $(<"$VENV/.installed-$extra") != "$(fingerprint)" ]] || return 0
  done
  return 1
}

# A lock taken by a child on our open file stays ours: no need of the flock command, which macOS
# has not. Where it cannot be had (Windows, some network file systems) we go on without.
lock() {
  exec 9>"$ROOT/.venv.lock"
  "$1" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' 2>/dev/null || true
}

unlock() { exec 9>&-; }

# An environment that uv made has no pip, and is kept.
has_pip() { { "$1" -m pip --version || "$1" -m ensurepip; } >/dev/null 2>&1; }

make_venv() {
  local python="$1" log
  if [[ -e $VENV ]]; then
    [[ -f $VENV/pyvenv.cfg || -z $(ls -A -- "$VENV") ]] ||
      fail "$VENV is in the way and is not a virtual environment. Move it aside and try again."
    if runs_311 "$VENV/bin/python" &&
      [[ $("$VENV/bin/python" -c 'import sys; print(sys.prefix)') == "$VENV" ]] &&
      has_pip "$VENV/bin/python"; then
      return
    fi
  fi
  log="$("$python" -m venv --clear "$VENV" 2>&1)" ||
    fail "Could not make $VENV with $python:"$'\n'"$(tail -n 15 <<<"$log")"
}

install() {
  local extra="$1" target=.
  local log="$VENV/install.log"
  [[ $extra == core ]] || target=".[$extra]"
  rm -f -- "$VENV"/.installed-*
  (cd -- "$ROOT" && PIP_USER=0 "$VENV/bin/python" -m pip install \
    --quiet --no-input --disable-pip-version-check --editable "$target") >"$log" 2>&1 </dev/null ||
    fail "pip install failed; its last lines:"$'\n'"$(tail -n 15 -- "$log")"$'\n'"All of it: $log"
  fingerprint >"$VENV/.installed-$extra"
}

need_venv() {
  local extra="$1" python
  ! is_installed "$extra" || return 0
  python="$(find_python)"
  lock "$python"
  if ! is_installed "$extra"; then
    say "Installing metrics-store ($extra) into .venv with $("$python" --version 2>&1) ..."
    make_venv "$python"
    install "$extra"
  fi
  unlock
}
