#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Docker Engine 26.1.5: which names an image has, when the list of images is asked for one of them. As root; the engine has a
# folder of its own and touches no other one.
#
# Seen: an image with the names shop:1 and keep:1 is listed by GET /images/json with both, and with the filter reference=shop:1
# with shop:1 alone. So who filters and finds one name must not take it for the only one, and remove the image by its id.
set -euo pipefail

# shellcheck source=findings/engine.bash
. "$(dirname "${BASH_SOURCE[0]}")/engine.bash"

start
docker version --format 'engine {{.Server.Version}}'
tar -C image -c . | docker import - shop:1 >/dev/null
docker tag shop:1 keep:1
names() {
    curl --silent --show-error --get --unix-socket "${DOCKER_HOST#unix://}" http://engine/images/json "$@" |
        python3 -c 'import json, sys; print(*(",".join(sorted(image["RepoTags"])) for image in json.load(sys.stdin)))'
}
all="$(names)"
filtered="$(names --data-urlencode 'filters={"reference": ["shop:1"]}')"
inspected="$(docker image inspect --format '{{join .RepoTags ","}}' shop:1)"
echo "listed $all, filtered $filtered, inspected $inspected"
[ "$all" = keep:1,shop:1 ]
[ "$filtered" = shop:1 ]
[[ "$inspected" = *keep:1* && "$inspected" = *shop:1* ]]
