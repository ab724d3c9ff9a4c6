#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# restic 0.18.0 (Debian 13). A rest-server in append-only mode removes no snapshots, on purpose. restic 0.14.0 ends with 1
# then, and 0.19.1 with 3. 0.18.0 says that it was unable to remove the snapshot and ends with 0, and the snapshot is still
# there. Whoever goes by the exit code takes it for removed.
#
# Seen:  forget ended with 0, snapshots after it: 1
set -euo pipefail
# shellcheck source=findings/restic.bash
source "$(dirname "${BASH_SOURCE[0]}")/restic.bash"

port=$((20000 + RANDOM % 20000))
restic-rest-server --no-auth --append-only --path "$PWD/data" --listen "127.0.0.1:$port" >server.log 2>&1 &
until (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.2; done
export RESTIC_REPOSITORY="rest:http://127.0.0.1:$port/"
restic init --quiet
echo hello | restic backup --quiet --stdin

code=0
restic forget --quiet latest 2>said || code=$?
left="$(restic list snapshots | wc -l)"
grep "403 Forbidden" said
echo "forget ended with $code, snapshots after it: $left"
[ "$code" -eq 0 ] && [ "$left" -eq 1 ]
