#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Docker Engine 26.1.5: what of three containers runs again after the engine's process was killed and started anew.
# As root; the engine has a folder of its own and touches no other one.
#
# Seen: those with the restart policy always and on-failure run, and the one with unless-stopped is down: it was ended by
# the engine after its start, and is noted down as if a person had stopped it, which the API does not show. The times do: it
# ended later than the engine's process began, when nobody could have asked for it yet.
set -euo pipefail

# shellcheck source=findings/engine.bash
. "$(dirname "${BASH_SOURCE[0]}")/engine.bash"

start
docker version --format 'engine {{.Server.Version}}'
tar -C image -c . | docker import - sleeper >/dev/null
for policy in unless-stopped always on-failure; do
    docker run --detach --name "$policy" --restart "$policy" --network none --stop-timeout 1 sleeper sleep 3600 >/dev/null
done
kill -KILL "${engine:?}"
wait "$engine" 2>/dev/null || true
sleep 1
began="$(date --utc +%FT%T)"
start
sleep 3
states="$(docker ps --all --format '{{.Names}} {{.State}}' | sort | paste --serial --delimiters ,)"
echo "$states"
ended="$(docker inspect --format '{{.State.FinishedAt}}' unless-stopped)"
echo "engine started at $began, the container ended at $ended"
[ "$states" = "always running,on-failure running,unless-stopped exited" ]
[[ "$ended" > "$began" ]]
