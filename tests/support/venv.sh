#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Make the virtual environment with what requirements.txt names: venv.sh PYTHON DIRECTORY
set -euo pipefail

python="$1" venv="$2"

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Debian's python3 comes without ensurepip.
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends python3-venv
fi
printf '%s\n' "venv: installing what requirements.txt names into $venv"
"$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
