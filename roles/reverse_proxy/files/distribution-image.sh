#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Make an image of the distribution's own package of a reverse proxy, where no registry is reachable:
#
#   distribution-image.sh caddy|nginx IMAGE
#
# The packages come from where this host gets its own.
set -eu

package="$1" image="$2"
. /etc/os-release
suite="$VERSION_CODENAME"

if ! command -v debootstrap >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends debootstrap >/dev/null
fi
# shellcheck disable=SC2016 # apt-get fills them in
mirror="$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' | sed -n "s/^$suite //p" | head -n 1)"
case "$ID" in
    ubuntu) components=main,universe ;;
    *) components=main ;;
esac
# Not below /tmp, which may be memory, or mounted without programs.
place="$(mktemp -d /var/tmp/reverse-proxy-image.XXXXXX)"
trap 'rm -rf --one-file-system "$place"' EXIT
debootstrap --variant=minbase --components="$components" --include="ca-certificates,wget,$package" "$suite" "$place/root" ${mirror:+"$mirror"} >&2
rm -rf "$place/root/var/cache/apt" "$place/root/var/lib/apt/lists"
tar -C "$place/root" -c . | docker import - "$image" >&2
