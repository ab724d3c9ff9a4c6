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

work="$(mktemp -d)"
engine=""
# Whatever is gone already needs no end.
end() {
    docker ps --all --quiet | xargs --no-run-if-empty docker rm --force >/dev/null || true
    if [ -n "$engine" ]; then kill "$engine"; wait "$engine" || true; fi
    grep --only-matching "$work/[^ ]*" /proc/mounts | sort --reverse | xargs --no-run-if-empty umount || true
    rm -rf "$work"
}
trap end EXIT
cd "$work"
mkdir -p lists/partial archives/partial root
keys=/usr/share/keyrings/debian-archive-keyring.gpg
printf "deb [signed-by=$keys] http://deb.debian.org/debian %s main\n" trixie bookworm >sources
options=(-q -o "Dir::Etc::SourceList=$work/sources" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$work/lists"
    -o "Dir::Cache=$work" -o APT::Sandbox::User=root)
apt-get "${options[@]}" update >/dev/null
apt-get "${options[@]}" download docker.io=26.1.5+dfsg1-9+deb13u1+b1 docker-cli=26.1.5+dfsg1-9+deb13u1+b1 \
    containerd=1.7.24~ds1-6+deb13u1 runc=1.1.5+ds1-1+deb12u1 busybox-static=1:1.37.0-6+b9 >/dev/null
for package in ./*.deb; do dpkg -x "$package" .; done
mkdir -p image/bin
cp usr/bin/busybox image/bin/sleep
export PATH="$work/usr/bin:$work/usr/sbin:$PATH" DOCKER_HOST="unix://$work/engine.sock" DOCKER_CONFIG="$work/client"

# Start the engine, and wait until it answers.
start() {
    # In a network of its own, since an engine without a bridge removes the one that another engine has.
    unshare --net dockerd --host "$DOCKER_HOST" --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" \
        --bridge none --iptables=false --storage-driver vfs >>"$work/log" 2>&1 &
    engine=$!
    timeout 60 sh -c 'until docker info >/dev/null 2>&1; do sleep 0.2; done'
}

start
docker version --format 'engine {{.Server.Version}}'
tar -C image -c . | docker import - sleeper >/dev/null
for policy in unless-stopped always on-failure; do
    docker run --detach --name "$policy" --restart "$policy" --network none --stop-timeout 1 sleeper sleep 3600 >/dev/null
done
kill -KILL "$engine"
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
