#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# ansible-core 2.18.6 and 2.19.4: a play on the local connection is killed in the middle of a task, with its whole process group, as
# who cancels a job does. With 2.18 the task dies with it. With 2.19 each worker is the leader of a session of its own, so its task
# goes on to its end, though nobody waits for it: the host is still changed after the kill.
#
# Seen:  2.18.6 the task ended with the play, 2.19.4 the task went on
set -euo pipefail

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
export HOME="$work" ANSIBLE_HOME="$work/.ansible" ANSIBLE_LOCALHOST_WARNING=false
cat >play.yml <<'YAML'
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.shell: touch {{ version }}.began && sleep 5 && touch {{ version }}.ended
YAML
seen=""
for version in 2.18.6 2.19.4; do
    python3 -m venv "$version"
    "$version/bin/pip" install --quiet --disable-pip-version-check "ansible-core==$version"
    setsid "$version/bin/ansible-playbook" play.yml --extra-vars "version=$work/$version" >/dev/null 2>&1 &
    play=$!
    for _ in $(seq 300); do
        [ ! -e "$version.began" ] || break
        sleep 0.1
    done
    kill -KILL -- "-$play"
    wait "$play" 2>/dev/null || true
    [ ! -e "$version.ended" ] # it was in the middle
    sleep 8
    [ -e "$version.ended" ] && became="the task went on" || became="the task ended with the play"
    seen+="$version $became, "
done
echo "ansible-core: ${seen%, }"
[ "${seen%, }" = "2.18.6 the task ended with the play, 2.19.4 the task went on" ]
