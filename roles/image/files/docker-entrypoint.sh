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

# Export each secret whose file is named after it: X is what X_FILE=/run/secrets/X holds. Others that end with _FILE are the
# application's own. A newline that an editor leaves at the end is no part of the value.
take_secrets() {
    for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)_FILE=\/run\/secrets\/.*$/\1/p'); do
        file='' given=''
        eval "file=\${${name}_FILE-} given=\${$name+given}"
        [ "$file" = "/run/secrets/$name" ] || continue
        [ -z "$given" ] || fail "$name and ${name}_FILE are both set; leave one of them out"
        [ -e "$file" ] || fail "$file, which ${name}_FILE names, is not there"
        if [ ! -f "$file" ] || [ ! -r "$file" ]; then
            fail "$file, which ${name}_FILE names, cannot be read by user $(id -u)"
        fi
        value="$(cat "$file" && echo .)" || fail "$file, which ${name}_FILE names, cannot be read"
        value="${value%.}"
        value="${value%"$newline"}"
        [ -n "$value" ] || fail "$file, which ${name}_FILE names, is empty"
        export "$name=$value"
        unset "${name}_FILE"
    done
    unset value
}
newline='
'

if [ "$(id -u)" -ne 0 ]; then
    # As the application's user, to whom the files belong; there is nothing to drop.
    take_secrets
    exec "$@"
fi

# Only what has the wrong owner is touched, so that a large media library costs a look.
set -f
IFS=:
for directory in $DATA_MOUNTS "$PWD/.next/cache"; do
    if [ -d "$directory" ] && [ -w "$directory" ]; then
        find "$directory" \( ! -user "$user" -o ! -group "$group" \) -exec chown -h "$user:$group" {} +
    fi
done
unset IFS
set +f

if command -v gosu >/dev/null; then
    exec gosu "$user:$group" "$0" "$@"
fi
exec su-exec "$user:$group" "$0" "$@"
