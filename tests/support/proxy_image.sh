#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Print the name of an image with the Caddy reverse proxy, and make sure that it exists:
# caddy:2-alpine where an image registry is reachable, otherwise one made from Debian's package.
set -euo pipefail

registry_image=caddy:2-alpine
local_image=docker-vps/caddy:bookworm

have() { docker image inspect "$1" >/dev/null 2>&1; }

if ! have "$local_image"; then
    base="$("$(dirname "$0")/base_image.sh")"
    if [ "$base" = node:22-alpine ]; then
        have "$registry_image" || docker pull --quiet "$registry_image" >&2
        echo "$registry_image"
        exit
    fi
    printf '%s\n' "proxy image: making $local_image from Debian's package" >&2
    docker build --quiet --tag "$local_image" - >&2 <<DOCKERFILE
FROM $base
RUN apt-get update -q && apt-get install -q -y --no-install-recommends caddy && rm -rf /var/lib/apt/lists/*
DOCKERFILE
fi
echo "$local_image"
