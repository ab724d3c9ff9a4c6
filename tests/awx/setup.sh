#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Put into .cache/awx what AWX brings beside this collection: ansible-runner with an Ansible of its own, and the modules of awx.awx.
# The modules are cut out of PyPI's package "ansible", so that a checkout needs no Ansible Galaxy.
set -euo pipefail

root="$(cd "$(dirname "$0")/../.." && pwd)"
to="$root/.cache/awx"
python="${PYTHON:-python3}"
wheel_version=12.3.0 # with awx.awx 24.6.1, which examples/site/awx/requirements.yml names

[ -f "$to/.ready" ] && exit 0
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$to/venv"
"$to/venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$root/requirements.txt" \
    'ansible-builder>=3.1,<4' 'ansible-runner>=2.4,<3'
"$python" -m pip download --quiet --no-deps --dest "$work" "ansible==$wheel_version"
"$python" - "$work"/ansible-*.whl "$to/collections" <<'PYTHON'
import sys, zipfile

wheel, to = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    archive.extractall(to, [name for name in archive.namelist() if name.startswith("ansible_collections/awx/awx/")])
PYTHON
touch "$to/.ready"
