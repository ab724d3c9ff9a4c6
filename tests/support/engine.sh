#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Give this machine a Docker engine with Compose v2 and Buildx, when it has none.
#
#   engine.sh start [RECORD]   make sure an engine answers; when this script had to start
#                              it, write its pid to RECORD (default .cache/engine.pid)
#   engine.sh stop [RECORD]    stop the engine only if RECORD says that we started it
#
#   ENGINE_OPTIONS="…"         more options for dockerd
#
# Debian bookworm has no Compose v2 and an engine of 2022, so the packages come from
# trixie, at a pin priority that upgrades nothing else.
set -euo pipefail

root="$(cd "$(dirname "$0")/../.." && pwd)"
record="${2:-$root/.cache/engine.pid}"
log="$(dirname "$record")/engine.log"

say() { printf '%s\n' "engine: $*" >&2; }

engine_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

have_packages() {
    command -v dockerd >/dev/null && docker compose version >/dev/null 2>&1 &&
        docker buildx version >/dev/null 2>&1 && command -v debootstrap >/dev/null &&
        command -v iptables >/dev/null
}

install_packages() {
    if ! command -v apt-get >/dev/null; then
        say "there is no Docker engine and no apt-get to install one: install Docker (https://docs.docker.com/engine/install/) and run this again"
        exit 1
    fi
    local suite=""
    . /etc/os-release
    if [ "${VERSION_CODENAME:-}" = bookworm ]; then
        suite=/trixie
        printf '%s\n' 'Types: deb' 'URIs: http://deb.debian.org/debian' 'Suites: trixie' \
            'Components: main' 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' |
            as_root tee /etc/apt/sources.list.d/docker-vps-trixie.sources >/dev/null
        printf '%s\n' 'Package: *' 'Pin: release n=trixie' 'Pin-Priority: 100' |
            as_root tee /etc/apt/preferences.d/docker-vps-trixie >/dev/null
    fi
    say "installing the Docker engine, Compose and Buildx from Debian"
    as_root apt-get update -q >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        "docker.io$suite" "docker-cli$suite" "docker-compose$suite" "docker-buildx$suite" \
        iptables debootstrap git curl ca-certificates >&2
}

# An engine that was killed leaves its pid behind, and refuses to start when another process has it now.
forget_stale_pids() {
    local file pid
    for file in /var/run/docker.pid /var/run/docker/containerd/containerd.pid; do
        pid="$(as_root cat "$file" 2>/dev/null || true)"
        case "$(cat "/proc/${pid:-none}/comm" 2>/dev/null)" in
            dockerd | containerd) ;;
            *) as_root rm -f "$file" ;;
        esac
    done
}

start() {
    mkdir -p "$(dirname "$record")"
    if ! engine_answers && [ "$(id -u)" -ne 0 ] && sudo docker version >/dev/null 2>&1; then
        say "an engine runs, but $(id -un) may not use it: sudo usermod --append --groups docker $(id -un), log in again, and run this again"
        exit 1
    fi
    if engine_answers && docker compose version >/dev/null 2>&1; then
        say "version $(docker version --format '{{.Server.Version}}') already answers"
        return
    fi
    have_packages || install_packages
    if ! engine_answers; then
        # A service manager may have started it with the package.
        say "starting dockerd (log: $log)"
        forget_stale_pids
        as_root sh -c "setsid dockerd ${ENGINE_OPTIONS:-} >'$log' 2>&1 & echo \$! >'$record'"
    fi
    for _ in $(seq 1 120); do
        if engine_answers; then
            say "version $(docker version --format '{{.Server.Version}}') answers"
            return
        fi
        sleep 0.5
    done
    say "dockerd did not answer within 60 s; its last lines:"
    tail -n 20 "$log" >&2 || true
    exit 1
}

stop() {
    [ -f "$record" ] || return 0
    local pid
    pid="$(cat "$record")"
    rm -f "$record"
    if [ -d "/proc/$pid" ] && [ "$(cat "/proc/$pid/comm")" = dockerd ]; then
        say "stopping the engine that was started here"
        as_root kill "$pid"
        for _ in $(seq 1 60); do
            [ -d "/proc/$pid" ] || return 0
            sleep 0.5
        done
        say "dockerd (pid $pid) did not stop within 30 s"
        exit 1
    fi
}

case "${1:-}" in
    start) start ;;
    stop) stop ;;
    *) say "usage: engine.sh start|stop [RECORD]"; exit 2 ;;
esac
