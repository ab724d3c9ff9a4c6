# SPDX-License-Identifier: GPL-3.0-or-later
#
# What findings on Docker Engine have in common, sourced by them as root: $work with version 26.1.5 of its own, which touches no
# other one, an image folder with busybox in it, and start, which starts the engine.
# shellcheck shell=bash
work="$(mktemp -d)"
engine=""
# Whatever is gone already needs no end.
end() {
    docker ps --all --quiet | xargs --no-run-if-empty docker rm --force >/dev/null || true
    if [ -n "$engine" ]; then kill "$engine"; wait "$engine" || true; fi
    grep --only-matching "$work/[^ ]*" /proc/mounts | sort --reverse | xargs --no-run-if-empty umount || true
    rm -rf "$work"
}
trap end EXIT
cd "$work"
mkdir -p lists/partial archives/partial root
keys=/usr/share/keyrings/debian-archive-keyring.gpg
printf "deb [signed-by=$keys] http://deb.debian.org/debian %s main\n" trixie bookworm >sources
options=(-q -o "Dir::Etc::SourceList=$work/sources" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$work/lists"
    -o "Dir::Cache=$work" -o APT::Sandbox::User=root)
apt-get "${options[@]}" update >/dev/null
apt-get "${options[@]}" download docker.io=26.1.5+dfsg1-9+deb13u1+b1 docker-cli=26.1.5+dfsg1-9+deb13u1+b1 \
    containerd=1.7.24~ds1-6+deb13u1 runc=1.1.5+ds1-1+deb12u1 busybox-static=1:1.37.0-6+b9 >/dev/null
for package in ./*.deb; do dpkg -x "$package" .; done
mkdir -p image/bin
cp usr/bin/busybox image/bin/sleep
export PATH="$work/usr/bin:$work/usr/sbin:$PATH" DOCKER_HOST="unix://$work/engine.sock" DOCKER_CONFIG="$work/client"

# Start the engine, and wait until it answers.
start() {
    # In a network of its own, since an engine without a bridge removes the one that another engine has.
    unshare --net dockerd --host "$DOCKER_HOST" --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" \
        --bridge none --iptables=false --storage-driver vfs >>"$work/log" 2>&1 &
    engine=$!
    timeout 60 sh -c 'until docker info >/dev/null 2>&1; do sleep 0.2; done'
}
