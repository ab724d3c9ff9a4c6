#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# See that Galaxy offers this tarball, which it imports some time after the upload: published.sh TARBALL [SERVER]
set -euo pipefail

tarball="$1" server="${2:-https://galaxy.ansible.com}"
version="${tarball##*-}"
version="${version%.tar.gz}"
url="$server/api/v3/plugin/ansible/content/published/collections/index/ptnextjs/docker_vps/versions/$version/"
digest="$(sha256sum "$tarball" | cut -d' ' -f1)"

offered=""
for _ in 1 2 3 4 5 6 7 8 9 10; do
    offered="$(curl --fail --silent --show-error --location --max-time 30 "$url")" && break
    sleep "${DELAY:-15}"
done
[ -n "$offered" ] || {
    echo "Galaxy does not offer version $version. See what its import says on the page of the namespace: $server/ui/namespaces/ptnextjs" >&2
    exit 1
}
grep -qF "$digest" <<<"$offered" || {
    echo "Galaxy offers another tarball as version $version, whose SHA-256 is not $digest: find out who has published it." >&2
    exit 1
}
echo "Galaxy offers version $version with the SHA-256 $digest."
