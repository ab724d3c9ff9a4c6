#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Test Molecule scenarios, JOBS (3) at a time: molecule.sh [SCENARIO…]
#
# Prints how long each took and, of one that fails, everything; at the end once more what those that failed said last.
# Molecule's own --workers share one instance.
set -euo pipefail

root="$(cd "$(dirname "$0")/../.." && pwd)"
logs="$root/.cache/molecule"
cd "$root"

one() {
    local started=$SECONDS code=0
    # Molecule starts Ansible ten times a scenario, and reads the configurations of all scenarios that it may see.
    MOLECULE_GLOB="molecule/$1/molecule.yml" tests/support/forked_plays.sh \
        molecule --base-config .config/molecule/config.yml test --no-command-borders --no-report --scenario-name "$1" \
        </dev/null >"$2/$1.log" 2>&1 || code=$?
    [ "$code" -eq 0 ] || tee "$2/$1.failed" <"$2/$1.log"
    printf 'molecule: %-14s %4d s  %s\n' "$1" "$((SECONDS - started))" "$([ "$code" -eq 0 ] && echo passed || echo FAILED)"
    printf '%s molecule %s\n' "$((SECONDS - started))" "$1" >>.cache/times/molecule.txt
    return "$code"
}

mkdir -p "$logs" .cache/times
rm -f .cache/times/molecule.txt "$logs"/*.failed
# Once, rather than by each scenario, which would find them by itself.
MOLECULE_IMAGE="${MOLECULE_IMAGE:-$(tests/support/instance_image.sh "${MOLECULE_SUITE:-trixie}")}"
BASE_IMAGE="$(tests/support/base_image.sh)"
LITESTREAM_IMAGE="$(tests/support/litestream_image.sh)"
BASE_SAVED="$logs/base.tar"
docker save --output "$BASE_SAVED" "$BASE_IMAGE"
trap 'rm -f "$BASE_SAVED"' EXIT
export MOLECULE_IMAGE BASE_IMAGE BASE_SAVED LITESTREAM_IMAGE
if [ $# -eq 0 ]; then
    # Backwards, since it is short ones that should be the last: two_applications takes longest.
    for file in molecule/*/molecule.yml; do set -- "$(basename "$(dirname "$file")")" "$@"; done
fi
export -f one
# shellcheck disable=SC2016
printf '%s\n' "$@" | xargs --max-procs "${JOBS:-3}" --replace bash -c 'one "$1" "$2" || exit 1' - {} "$logs" || {
    for log in "$logs"/*.failed; do
        printf '\n%s:\n' "$log"
        # What follows that line is how the instance was removed.
        sed '/An error occurred during the test sequence/q' "$log" | tail -n 30
    done
    exit 1
}
