#!/usr/bin/env bash
# Makes the virtual environment $1 with the best Python on this machine (3.10 or newer).
set -euo pipefail

venv=$1

find_python() {
    local name
    for name in "${PYTHON:-}" python3.11 python3 python3.12 python3.13 python3.14 python3.10; do
        if [[ -n $name ]] && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "no Python 3.10 or newer was found; install python3, or set PYTHON to one" >&2
    return 1
}

# Debian keeps the part of Python that makes virtual environments in a package of its own.
need_ensurepip() {
    local python=$1 package
    "$python" -c 'import ensurepip, venv' 2>/dev/null && return
    package=$("$python" -c 'import sys; print(f"python{sys.version_info[0]}.{sys.version_info[1]}-venv")')
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -y -qq --no-install-recommends "$package"
    else
        echo "$python cannot make virtual environments; run: sudo apt-get install $package" >&2
        return 1
    fi
}

python=$(find_python)
need_ensurepip "$python"
"$python" -m venv "$venv"
