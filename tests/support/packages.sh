#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Make sure of Debian packages: packages.sh PACKAGE…
#
# Silent unless it fails. The lists are updated only when apt-get cannot install without,
# and another apt-get that is running is waited for.
set -euo pipefail

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

missing=()
for package in "$@"; do
    # Not dpkg --status: that also succeeds for a package that was removed.
    [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
        missing+=("$package")
done
[ "${#missing[@]}" -eq 0 ] && exit 0

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
for _ in 1 2 3 4; do
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        -o DPkg::Lock::Timeout=60 "${missing[@]}" >"$log" 2>&1 && exit 0
    # The lock of the lists has no time-out of its own.
    as_root apt-get update -q >>"$log" 2>&1 || sleep 5
done
cat "$log" >&2
printf '%s\n' "packages: apt-get could not install ${missing[*]}, see above: install them by hand and run this again" >&2
exit 1
