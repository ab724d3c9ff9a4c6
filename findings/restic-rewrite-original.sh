#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# restic 0.18.0 (Debian 13). "tag" and "copy" give a snapshot a new id and keep the first one as "original", however often.
# "rewrite" puts the id just before there instead. So a snapshot that was tagged and then rewritten with --forget cannot be
# found by the id that "backup" told, neither as id nor as original.
#
# Seen:  tagged twice: original is the first id
#        then rewritten: original is the id before
set -euo pipefail
# shellcheck source=findings/restic.bash
source "$(dirname "${BASH_SOURCE[0]}")/restic.bash"

fact() { restic snapshots --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0].get(sys.argv[1], ""))' "$1"; }
export RESTIC_REPOSITORY="$PWD/data"
restic init --quiet
echo hello | restic backup --quiet --stdin
first="$(fact id)"
restic tag --quiet --add one
restic tag --quiet --add two
tagged="$(fact id)"
[ "$(fact original)" = "$first" ] && echo "tagged twice: original is the first id"
restic rewrite --quiet --forget --new-host other >/dev/null
[ "$(fact original)" = "$tagged" ] && echo "then rewritten: original is the id before"
