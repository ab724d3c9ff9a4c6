#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Start the application as PUID:PGID, which are numbers: no user or group of that number
# needs to exist, and it does no harm when one does.
set -eu

fail() {
    echo "entrypoint: $1" >&2
    exit 64
}

check() {
    case "$2" in
        '' | *[!0-9]*) fail "$1 must be a whole number, but is '$2'" ;;
    esac
    if [ "$2" -eq 0 ] 2>/dev/null; then
        fail "$1 must not be 0: the application never runs as root"
    fi
}

user="${PUID:-1000}"
group="${PGID:-1000}"
check PUID "$user"
check PGID "$group"

if [ "$(id -u)" -ne 0 ]; then
    # Started with another user (docker run --user): there is nothing to drop.
    exec "$@"
fi

# Only what has the wrong owner is touched, so that a large media library costs a look.
for directory in /data /app/public/media "$PWD/.next/cache"; do
    if [ -d "$directory" ] && [ -w "$directory" ]; then
        find "$directory" \( ! -user "$user" -o ! -group "$group" \) -exec chown -h "$user:$group" {} +
    fi
done

if command -v gosu >/dev/null; then
    exec gosu "$user:$group" "$@"
fi
exec su-exec "$user:$group" "$@"
