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

# The Debian mirror that this machine uses already, or the one named by SCAFFOLD_DEBIAN_MIRROR.
debian_mirror() {
  local mirror
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    grep -v '^[[:space:]]*#' | grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ') || true
  mirror=${SCAFFOLD_DEBIAN_MIRROR:-$mirror}
  [ -n "$mirror" ] || fail "apt's sources name no Debian mirror; set SCAFFOLD_DEBIAN_MIRROR to one"
  printf %s "$mirror"
}

# apt OPTION...: without questions; what it says is shown only when it fails
apt() {
  local log=$engine_dir/apt.log
  mkdir -p "$engine_dir"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y "$@" </dev/null >"$log" 2>&1 || {
    tail -n 15 "$log" >&2
    return 1
  }
}

# apt_install PACKAGE...: from the machine's own sources
apt_install() {
  command -v apt-get >/dev/null || fail "cannot install $*: this is not Debian or Ubuntu. Install it by hand and try again."
  say "installing $* with apt"
  apt update 2>/dev/null || true # one broken third-party source must not stop us: the install tells
  apt install --no-install-recommends "$@" || fail "apt could not install $*. Its log: $engine_dir/apt.log"
}

# apt_install_trixie PACKAGE...: on Debian 12, whose own engine is too old. Sources, pins and lists of our own,
# so that the machine's apt settings stay as they are and nothing else is upgraded.
apt_install_trixie() {
  local own=$engine_dir/apt
  mkdir -p "$own/sources.list.d" "$own/preferences.d" "$own/lists"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' \
    "$(debian_mirror)" bookworm "$(debian_mirror)" trixie >"$own/sources.list"
  printf 'Package: *\nPin: release n=trixie\nPin-Priority: 50\n' >"$own/preferences.d/trixie"
  local options=(
    -o "Dir::Etc::SourceList=$own/sources.list" -o "Dir::Etc::SourceParts=$own/sources.list.d"
    -o "Dir::Etc::PreferencesParts=$own/preferences.d" -o "Dir::State::Lists=$own/lists"
    -o APT::Sandbox::User=root # the folder may lie in a home that the user _apt cannot enter
  )
  say "installing $* from Debian trixie"
  apt "${options[@]}" update &&
    apt "${options[@]}" install --no-install-recommends iptables &&
    apt "${options[@]}" install --no-install-recommends -t trixie "$@" ||
    fail "apt could not install $*. Its log: $engine_dir/apt.log"
}
