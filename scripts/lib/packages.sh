# Sourced by the scripts that need Debian packages.

# install_packages <package>...: installs those that are missing, and says so before it does.
install_packages() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "This is not a Debian system, so nothing is installed. Needed here: $*"
    return
  fi

  local missing=() package
  for package in "$@"; do
    case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true) in
      'install ok installed') ;;
      *) missing+=("$package") ;;
    esac
  done
  if [ ${#missing[@]} -eq 0 ]; then return; fi

  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "$0: these Debian packages are missing, and only root can install them: ${missing[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
    echo "The next step runs apt-get with sudo, which may ask for your password."
  fi
  echo "Installing Debian packages: ${missing[*]}"
  apt_get() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" </dev/null; }

  local log
  log=$(mktemp)
  if ! { apt_get update && apt_get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    echo "$0: apt-get could not install: ${missing[*]}" >&2
    echo "Is this machine online, and does apt know a Debian 12 (or later) source?" >&2
    exit 1
  fi
  rm -f "$log"
}

# What the example programs are built with and from.
build_packages=(g++ cmake ninja-build nlohmann-json3-dev librange-v3-dev libcli11-dev zlib1g-dev liblzma-dev
  libeigen3-dev libpcre2-dev)

# What multiplies matrices for language models, faster than Eigen does.
product_packages=(libopenblas-dev libdnnl-dev)
