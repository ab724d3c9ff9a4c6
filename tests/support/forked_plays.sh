#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Run a command that starts ansible-playbook many times, with plays that are forked: forked_plays.sh COMMAND…
#
# Ansible is imported once for all of them. See plays.py.
set -euo pipefail

PLAYS_SERVERS="$(mktemp --directory)"
trap 'rm -rf "$PLAYS_SERVERS"' EXIT
PATH="$(dirname "$(realpath "$0")")/shims:$PATH"
export PLAYS_SERVERS PLAYS_UNTIL=$$ PATH
"$@"
