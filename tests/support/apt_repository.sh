#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Print the name of an image that serves what stands in for Docker's own apt repository, and make sure that it exists.
#
# It has the programs of Debian's packages, under the names and with the relations that Docker's have, for bookworm and
# trixie, signed with a key that is made here: below /srv/linux as on download.docker.com, the fingerprint in
# /srv/fingerprint. /srv/other is another key.
set -euo pipefail

image=docker-vps/apt-repository
base="$("$(dirname "$0")/instance_image.sh" trixie)"
docker build --quiet --tag "$image" --build-arg "BASE=$base" - >/dev/null <<'DOCKERFILE'
ARG BASE
FROM $BASE
RUN set -eu; \
    echo "deb http://deb.debian.org/debian bookworm main" >/etc/apt/sources.list.d/bookworm.list; \
    apt-get update -q; \
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends gnupg apt-utils
WORKDIR /srv
RUN <<'SCRIPT'
set -eu
# repack SUITE NAME RELATIONS PACKAGE…: the files of packages as one, with the scripts of the first.
repack() {
    suite="$1" name="$2" relations="$3"
    shift 3
    rm -rf work && mkdir -p work/debs work/tree
    for package in "$@"; do
        (cd work/debs && apt-get download -q "$package")
        dpkg-deb --extract work/debs/"${package%%/*}"_*.deb work/tree
    done
    dpkg-deb --control work/debs/"${1%%/*}"_*.deb work/tree/DEBIAN
    rm -f work/tree/DEBIAN/md5sums
    {
        printf 'Package: %s\n' "$name"
        sed -n 's/^Version: /&5:/p; /^Architecture:/p; /^Maintainer:/p' work/tree/DEBIAN/control
        printf '%b' "$relations"
        printf 'Description: %s, repacked for a test\n' "$name"
    } >work/control
    mv work/control work/tree/DEBIAN/control
    mkdir -p "linux/debian/pool/$suite"
    dpkg-deb --build -Zgzip -z1 work/tree "linux/debian/pool/$suite/$name.deb"
}
for suite in bookworm trixie; do
    repack $suite docker-ce 'Depends: containerd.io, docker-ce-cli, iptables, adduser, tini\nConflicts: docker.io\n' docker.io/trixie
    repack $suite docker-ce-cli 'Conflicts: docker.io\n' docker-cli/trixie
    # What is linked with a libc comes from the suite itself.
    repack $suite containerd.io \
        'Depends: libc6, libseccomp2\nConflicts: containerd, runc\nReplaces: containerd, runc\nProvides: containerd, runc\n' \
        containerd/$suite runc/$suite
    repack $suite docker-compose-plugin 'Conflicts: docker-compose\nReplaces: docker-compose\n' docker-compose/trixie
    repack $suite docker-buildx-plugin 'Replaces: docker-ce-cli\n' docker-buildx/trixie
done
rm -rf work
export GNUPGHOME=/srv/gnupg
mkdir -m 0700 $GNUPGHOME
for name in Docker Other; do
    gpg --batch --quiet --passphrase '' --quick-generate-key "$name of the tests" ed25519 sign never
done
gpg --armor --export '=Docker of the tests' >linux/debian/gpg
gpg --armor --export '=Other of the tests' >other
gpg --export '=Docker of the tests' >binary
gpg --with-colons --fingerprint '=Docker of the tests' | awk -F: '/^fpr/ { print $10; exit }' >fingerprint
cd linux/debian
for suite in bookworm trixie; do
    index="dists/$suite/stable/binary-$(dpkg --print-architecture)"
    mkdir -p "$index"
    apt-ftparchive packages "pool/$suite" >"$index/Packages"
    apt-ftparchive -o "APT::FTPArchive::Release::Suite=$suite" -o "APT::FTPArchive::Release::Codename=$suite" \
        -o APT::FTPArchive::Release::Components=stable release "dists/$suite" >work.Release
    mv work.Release "dists/$suite/Release"
    gpg --batch --local-user '=Docker of the tests' --clearsign --output "dists/$suite/InRelease" "dists/$suite/Release"
done
SCRIPT
CMD ["python3", "-m", "http.server", "--directory", "/srv", "80"]
DOCKERFILE
echo "$image"
