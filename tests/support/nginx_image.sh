#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Print the name of an image with Nginx, and make sure that it exists:
# nginx:stable where an image registry is reachable, otherwise one made from Debian's package.
set -euo pipefail

registry_image=nginx:stable
local_image=docker-vps/nginx:bookworm

have() { docker image inspect "$1" >/dev/null 2>&1; }

if ! have "$local_image"; then
    base="$("$(dirname "$0")/base_image.sh")"
    if [ "$base" = node:22-alpine ]; then
        have "$registry_image" || docker pull --quiet "$registry_image" >&2
        echo "$registry_image"
        exit
    fi
    printf '%s\n' "nginx image: making $local_image from Debian's package" >&2
    # Without Debian's site of its own, which also listens on port 80.
    docker build --quiet --tag "$local_image" - >&2 <<DOCKERFILE
FROM $base
RUN apt-get update -q && apt-get install -q -y --no-install-recommends nginx && rm -rf /var/lib/apt/lists/* \
    && rm /etc/nginx/sites-enabled/default
DOCKERFILE
fi
echo "$local_image"
