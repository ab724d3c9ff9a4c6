#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Put the collections that this one depends on beside it in .ansible/collections.
#
# They are cut out of PyPI's package "ansible", which carries the released community.docker,
# so that a checkout needs no Ansible Galaxy. Users install them by requirements.yml.
set -euo pipefail

python="$1" # the interpreter of the virtual environment
root="$(cd "$(dirname "$0")/../.." && pwd)"
to="$root/.ansible/collections/ansible_collections"
wheel_version=12.3.0

[ -f "$to/community/docker/MANIFEST.json" ] && exit 0
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"$python" -m pip download --quiet --no-deps --dest "$work" "ansible==$wheel_version"
"$python" - "$work"/ansible-*.whl "$to" <<'PYTHON'
import sys, zipfile

wheel, to = sys.argv[1:]
wanted = ("ansible_collections/community/docker/", "ansible_collections/community/library_inventory_filtering_v1/")
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if name.startswith(wanted):
            archive.extract(name, to.rsplit("/", 1)[0])
PYTHON
