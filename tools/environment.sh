#!/bin/sh
# Make the virtual environment, or add to it: tools/environment.sh book|test|lab|mutation
#
# What it reads, all optional:
#   PYTHON       the interpreter to start from; by default the first of those named below that will do
#   VENV         the folder of the environment (.venv)
#   MIN_FREE_MB  the free space to insist on
set -eu
cd "$(dirname "$0")/.."

stage=$1
venv=${VENV:-.venv}
log=$venv/install.log

case $stage in
  book) extras=book; space=1500 ;;
  test) extras=book,tests; space=4000 ;;
  lab) extras=lab; space=4000 ;;
  mutation) extras=book,tests,mutation; space=4000 ;;
  *) echo "usage: tools/environment.sh book|test|lab|mutation" >&2; exit 2 ;;
esac

say() { printf '%s\n' "-- $*"; }

stop() {
  printf '%s\n' "Stopped: $*" >&2
  exit 1
}

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
can_make_environments() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# 3.11 comes first because the pinned versions are resolved and tested with it.
find_python() {
  for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3 python}; do
    is_new_enough "$candidate" || continue
    python=$candidate
    can_make_environments "$candidate" && return
  done
  if [ -n "${python:-}" ]; then
    stop "$python lacks the module venv. On Debian and Ubuntu: apt-get install python3-venv"
  elif [ -n "${PYTHON:-}" ]; then
    stop "PYTHON=$PYTHON does not run, or is older than Python 3.11."
  fi
  stop "no Python 3.11 or newer was found. Install one, or name it: make $stage PYTHON=/path/to/python3"
}

check_space() {
  space=${MIN_FREE_MB:-$space}
  free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1024) }')
  [ "$free" -ge "$space" ] ||
    stop "$free MB are free on this disk, and the packages need about $space MB. Make room and run it again."
}

explain_failure() {
  if grep -q 'No space left on device' "$log"; then
    stop "the disk is full. Make room and run it again. pip's own words: $log"
  elif grep -Eq 'NewConnectionError|from versions: none|ConnectTimeout|ReadTimeout|NameResolutionError|ProxyError|SSLError|Network is unreachable|Connection refused' "$log"; then
    stop "the package registry cannot be reached. Check the network and pip's settings. pip's own words: $log"
  fi
  grep 'ERROR:' "$log" | tail -n 3 >&2
  stop "pip could not install the packages. pip's own words: $log"
}

check_space
# An environment without pip is one whose making was interrupted.
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  find_python
  say "making $venv with $("$python" --version)"
  "$python" -m venv --clear "$venv" || stop "the virtual environment $venv could not be made; the reason stands above."
fi

say "installing the packages for '$stage' at the versions in requirements.lock (a few minutes the first time; log: $log)"
"$venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off \
  --constraint requirements.lock --editable ".[$extras]" >"$log" 2>&1 || explain_failure

touch "$venv/ready-$stage"
[ "$stage" != test ] || touch "$venv/ready-book"
