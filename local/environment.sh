#!/bin/sh
# Makes a virtual environment hold exactly what a hashed requirements file names; does nothing when it already does.
#   local/environment.sh VENV REQUIREMENTS [PYTHON_VERSIONS]
# PYTHON=/path/to/python overrides the search. Plain sh, since it runs before anything is installed.
set -eu

venv=$1
requirements=$2
# Newest tested first; what came out after them is better than nothing.
versions=${3:-"3.13 3.12 3.11 3.14 3.15"}

fail() {
    printf '\n%s\n' "$@" >&2
    exit 1
}

# Prints the path of the first Python that really runs. A pyenv shim exists for every version ever installed and fails
# where another one is selected (.python-version here, the global version in /), so only the interpreter's own word counts.
find_python() {
    for version in $versions; do
        for name in "python$version" python3 python; do
            for folder in . /; do
                found=$(cd "$folder" && "$name" -c 'import sys; print("%d.%d" % sys.version_info[:2], sys.executable)' 2>/dev/null) || continue
                case $found in "$version "*) printf '%s\n' "${found#* }" && return ;; esac
            done
        done
    done
    return 1
}

# The stamp is a copy of the file, written last: equal content means a finished sync, whatever git did to the times.
if cmp -s "$requirements" "$venv/.synced" && "$venv/bin/python" -c '' 2>/dev/null; then
    exit 0
fi

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=${PYTHON:-$(find_python || true)}
    [ -n "$python" ] || fail "No Python of version $(echo "$versions" | sed 's/ / or /g') runs here." \
        "Install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.13; or pyenv, uv, python.org)" \
        "or name it: make test PYTHON=/path/to/python3"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python has no venv module." \
            "Install it (Debian, Ubuntu: apt install python3-venv) and run the same command again."
    echo "Creating $venv with $python"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi

# uv installs in seconds what takes pip most of a minute. Its own pin and hashes are in the development file.
if ! "$venv/bin/python" -m uv --version >/dev/null 2>&1; then
    awk '/^[^ #]/ { wanted = /^uv==/ } wanted' requirements-dev.txt >"$venv/uv.txt"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$venv/uv.txt"
fi

echo "Installing $requirements into $venv"
# The machine's own certificates count: many a network has its own authority.
if ! "$venv/bin/python" -m uv pip sync --quiet --system-certs --require-hashes --python "$venv/bin/python" "$requirements"; then
    # pip knows of mirrors and proxies from its own configuration; the hashes hold either way.
    echo "uv could not install; trying pip" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r "$requirements"
fi
cp "$requirements" "$venv/.synced"
