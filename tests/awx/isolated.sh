#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Run a command as AWX runs a job in its execution environment: isolated.sh STAGE NAME PYTHON COMMAND…
#
# In namespaces of its own the machine is called NAME, and STAGE/runner is /mnt, of which the project is read-only. The command runs as
# user 1000670000 in group 0, who has a line in passwd only if STAGE/passwd is there, and with the environment in STAGE/environment alone.
# PYTHON is a directory that the command needs, though it may be in the home of root.
set -euo pipefail

if [ "${1:-}" != --inside ]; then
    exec unshare --mount --uts --pid --fork --kill-child=KILL "$0" --inside "$@"
fi
stage="$2" name="$3" python="$4"
shift 4
user=1000670000

hostname "$name"
mount --make-rprivate /
mount -t proc proc /proc
mkdir -p "$stage/python"
mount --bind "$python" "$stage/python"
mount -t tmpfs -o mode=755 tmpfs /root
mkdir -p "$python"
mount --bind "$stage/python" "$python"
mount --bind "$stage/runner" /mnt
mount --bind /mnt/project /mnt/project
mount -o remount,ro,bind /mnt/project
[ ! -f "$stage/passwd" ] || mount --bind "$stage/passwd" /etc/passwd
mapfile -t environment <"$stage/environment"
cd /mnt
exec setpriv --reuid "$user" --regid 0 --clear-groups --no-new-privs env -i "${environment[@]}" "$@"
