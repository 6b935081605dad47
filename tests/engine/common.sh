# shellcheck shell=bash
# What the scripts of this folder share: where things are kept, messages, root, apt. Sourced, never run.
set -euo pipefail

engine_dir=${SCAFFOLD_ENGINE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/scaffold-engine}
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

fail() {
  printf '%s: error: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "\"$*\" needs root, and there is no sudo. Run this as root."
  fi
}

engine_answers() { timeout 20 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

system() { (. /etc/os-release && printf %s "${ID:-unknown}"); }
release() { (. /etc/os-release && printf %s "${VERSION_CODENAME:-}"); }

# The Debian mirror that this machine uses already.
debian_mirror() {
  local mirror
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    grep -v '^[[:space:]]*#' | grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ') || true
  printf %s "${mirror:-http://deb.debian.org/debian}"
}

# apt_install PACKAGE...  from the machine's own sources
apt_install() {
  command -v apt-get >/dev/null || fail "cannot install $*: this is not Debian or Ubuntu. Install it by hand and try again."
  say "installing $* with apt"
  as_root apt-get -qq update >/dev/null 2>&1 || true # one broken third-party source must not stop us: the install tells
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -qq install --no-install-recommends "$@" </dev/null >/dev/null
}

# apt_install_trixie PACKAGE...  on Debian 12, whose own engine is too old. Sources, pins and lists of our own,
# so that the machine's apt settings stay as they are and nothing else is upgraded.
apt_install_trixie() {
  local apt=$engine_dir/apt
  mkdir -p "$apt/sources.list.d" "$apt/preferences.d" "$apt/lists"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
    "$(debian_mirror)" bookworm "$(debian_mirror)" trixie >"$apt/sources.list"
  printf 'Package: *\nPin: release n=trixie\nPin-Priority: 50\n' >"$apt/preferences.d/trixie"
  local options=(
    -qq
    -o "Dir::Etc::SourceList=$apt/sources.list" -o "Dir::Etc::SourceParts=$apt/sources.list.d"
    -o "Dir::Etc::PreferencesParts=$apt/preferences.d" -o "Dir::State::Lists=$apt/lists"
    -o APT::Sandbox::User=root
  )
  say "installing $* from Debian trixie"
  as_root apt-get "${options[@]}" update >/dev/null
  as_root env DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" -y install --no-install-recommends iptables </dev/null >/dev/null
  as_root env DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" -y install --no-install-recommends -t trixie "$@" </dev/null >/dev/null
}
