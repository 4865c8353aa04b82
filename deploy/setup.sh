#!/usr/bin/env bash
# Set this checkout up: Debian packages, a virtual environment, the Python packages of a lock file, this project.
#   deploy/setup.sh run    what the server and the demo need
#   deploy/setup.sh dev    also what tests, lint and benchmarks need
# May be run again at any time; does only what is missing. Everything but Debian packages stays inside the checkout.
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:-run}
cache=.cache
log=$cache/setup.log
mkdir -p "$cache"

run_packages=(lxc lxc-dev gcc libc6-dev nftables mmdebstrap openssh-client iproute2)
dev_packages=(xmlsec1 openssl shellcheck qemu-system-x86 busybox-static)

case $what in
  run) lock=requirements.lock; packages=("${run_packages[@]}") ;;
  dev) lock=requirements-dev.lock; packages=("${run_packages[@]}" "${dev_packages[@]}") ;;
  *) echo "usage: deploy/setup.sh run|dev" >&2; exit 2 ;;
esac

say() { printf '%s\n' "$*"; }

step() { # words, command...: run it quietly, say how long it took; show the end of the log when it fails
  local words=$1 begin=$SECONDS
  shift
  if ! "$@" >>"$log" 2>&1; then
    say "set-up: $words FAILED; the end of $log:" >&2
    tail -n 30 "$log" >&2
    exit 1
  fi
  say "set-up: $words ($((SECONDS - begin)) s)"
}

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || printf '%s\n' "$package"
  done
}

install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  apt-get install -y -q --no-install-recommends "$@"
}

debian_packages() {
  if ! command -v dpkg-query >/dev/null; then
    say "set-up: this is not Debian; install what these packages hold yourself: ${packages[*]}"
    return
  fi
  # The system's own Python comes without its headers and without venv; others bring both.
  if [ "$(readlink -f "$(command -v python3)")" = "$(readlink -f /usr/bin/python3)" ]; then
    packages+=(python3-dev python3-venv)
  fi
  local missing
  mapfile -t missing < <(missing_packages)
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ]; then
    say "set-up: not root, so these Debian packages are left out: ${missing[*]}"
    say "        (apt-get install ${missing[*]})"
    return
  fi
  step "installed ${#missing[@]} Debian packages: ${missing[*]}" install_packages "${missing[@]}"
}

python_packages() {
  local stamp=.venv/.$what-stamp digest
  digest=$(cat "$lock" pyproject.toml "$0" | sha256sum; readlink -f "$(command -v python3)")
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$digest" ] && return
  [ -x .venv/bin/python ] || step "made the virtual environment .venv" python3 -m venv .venv
  step "installed the Python packages of $lock" \
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
  step "installed this project into .venv" \
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
  printf '%s' "$digest" >"$stamp"
}

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  say "set-up: python3 3.11 or newer is needed" >&2
  exit 1
fi
debian_packages
python_packages
