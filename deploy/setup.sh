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
: >"$log"

run_packages=(lxc lxc-dev libvirt-dev pkg-config gcc libc6-dev nftables dnsmasq-base mmdebstrap openssh-client iproute2)
dev_packages=(
  xmlsec1 openssl shellcheck busybox-static nats-server iperf3
  libvirt-daemon libvirt-daemon-system qemu-system-x86 qemu-utils xorriso # virtual machines
)

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
  local installed package
  installed=$(dpkg-query -W -f='${Package}=${db:Status-Status}\n' "${packages[@]}" 2>/dev/null || true)
  for package in "${packages[@]}"; do
    grep -qFx "$package=installed" <<<"$installed" || printf '%s\n' "$package"
  done
}

install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q && apt-get install -y -q --no-install-recommends "$@"
}

debian_packages() {
  if ! command -v dpkg-query >/dev/null; then
    say "set-up: this is not Debian; install what these packages hold yourself: ${packages[*]}"
    return
  fi
  # Debian's own Python comes without its headers and without venv; others bring both.
  case $python in
    /usr/bin/*) packages+=(python3-dev python3-venv) ;;
  esac
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
  digest=$(cat requirements-build.lock "$lock" pyproject.toml "$0" | sha256sum; printf '%s' "$python")
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$digest" ] && return
  # One that was begun and never finished, or that belongs to a Python since replaced, is no use.
  if [ "$(readlink -f .venv/bin/python)" != "$python" ] || ! .venv/bin/python -m pip --version &>/dev/null; then
    step "made the virtual environment .venv" "$python" -m venv --clear .venv
  fi
  # What builds packages is pinned like the packages, so nothing is built in an environment fetched on the side.
  step "installed the Python packages of $lock" install_locked
  step "installed this project into .venv" install_python --no-build-isolation --no-deps -e .
  printf '%s' "$digest" >"$stamp"
}

install_locked() {
  install_python --require-hashes -r requirements-build.lock &&
    install_python --no-build-isolation --require-hashes -r "$lock"
}

install_python() {
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --root-user-action=ignore "$@"
}

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  say "set-up: python3 3.11 or newer is needed" >&2
  exit 1
fi
# The interpreter itself, behind version managers and virtual environments.
python=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')
debian_packages
python_packages
