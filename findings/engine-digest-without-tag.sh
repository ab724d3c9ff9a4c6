#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Docker Engine 26.1.5, classic image store (vfs, as overlay2): what becomes of the name of an image by its digest when its tag
# goes. As root; the engine and a registry (Distribution 2.8.2) have a folder and a network of their own.
#
# Seen: an image with the tags 127.0.0.1:5000/shop:1 and keep:1 that was pushed has 127.0.0.1:5000/shop@sha256:…, and can be run by
# that. docker rmi 127.0.0.1:5000/shop:1, which says "Untagged" of both, takes this name along, though nobody has named it, and though
# keep:1 keeps the image: the digest is unknown to the engine then, and a container that is made by it needs the registry. With
# another tag of the same repository the name stays. So who removes tags of a repository and wants to run images of it by digest
# keeps one tag in it, or pulls the digest again.
#
# shellcheck disable=SC2154  # of engine.bash
set -euo pipefail

# shellcheck source=findings/engine.bash
. "$(dirname "${BASH_SOURCE[0]}")/engine.bash"

apt-get "${options[@]}" download docker-registry=2.8.2+ds1-1 >/dev/null
dpkg -x docker-registry_*.deb .
start
docker version --format 'engine {{.Server.Version}}'
within=(nsenter "--net=/proc/$engine/ns/net")
"${within[@]}" ip link set lo up
printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:5000"}\n' "$work/blobs" >registry.yml
"${within[@]}" docker-registry serve registry.yml >>"$work/log" 2>&1 &
registry=$!
trap 'kill "$registry"; end' EXIT
repository=127.0.0.1:5000/shop
tar -C image -c . | docker import - "$repository:1" >/dev/null
docker tag "$repository:1" keep:1
timeout 60 sh -c "until docker push --quiet $repository:1 >/dev/null 2>&1; do sleep 0.2; done"
digests() { docker image inspect --format '{{len .RepoDigests}}' keep:1; }
name="$(docker image inspect --format '{{index .RepoDigests 0}}' keep:1)"
docker image inspect "$name" >/dev/null

docker tag "$repository:1" "$repository:2"
docker rmi "$repository:2" >/dev/null
echo "with a tag of the repository: $(digests)"
[ "$(digests)" = 1 ]

docker rmi "$repository:1" >/dev/null
echo "without a tag of the repository: $(digests)"
[ "$(digests)" = 0 ]
if docker image inspect "$name" 2>inspected; then exit 1; fi
cat inspected
grep -q 'No such image' inspected
