#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Make targets one after the other, stop at the first that fails, and say how many minutes each took, how busy it kept the
# cores, and which ten tests took longest: stages.sh TARGET… Targets in one argument, as "integration acceptance", run at
# the same time, and all but the first give way to that, which should be the longest.
set -uo pipefail

cd "$(dirname "$0")/../.." || exit
times=.cache/times
rm -rf "$times"

# line NAME SECONDS TICKS [RESULT]: the ticks are what "ticks" said at the beginning.
line() {
    echo "$3 $(ticks)" | awk -v name="$1" -v seconds="$2" -v result="${4:-}" '
        { printf "%-31s %5.1f min  cores %3d %% busy  %s\n", name, seconds / 60, 100 * ($3 - $1) / ($4 - $2 + 0.01), result }'
}

# ticks: the time that the cores of this machine have worked, and all that there was, as the kernel counts it.
ticks() { awk '/^cpu / { print $2 + $3 + $4 + $7 + $8, $2 + $3 + $4 + $5 + $6 + $7 + $8 }' /proc/stat; }

# make_all TARGET…: the first one says what it does at once, each other one when it has ended.
make_all() {
    local first="$1" failed=0 log number target
    local -A others=()
    shift
    for target in "$@"; do
        log="$(mktemp)"
        nice "${MAKE:-make}" --no-print-directory "$target" >"$log" 2>&1 &
        others[$!]="$log"
    done
    "${MAKE:-make}" --no-print-directory "$first" || failed=$?
    for number in "${!others[@]}"; do
        wait "$number" || failed=$?
        cat "${others[$number]}"
        rm "${others[$number]}"
    done
    return "$failed"
}

summary=""
began=$SECONDS began_ticks="$(ticks)"
code=0
for stage in "$@"; do
    started=$SECONDS started_ticks="$(ticks)"
    printf '\n==> make %s\n' "$stage"
    read -ra targets <<<"$stage"
    make_all "${targets[@]}" || code=$?
    summary+="$(line "$stage" "$((SECONDS - started))" "$started_ticks" "$([ "$code" -eq 0 ] && echo passed || echo FAILED)")"$'\n'
    [ "$code" -eq 0 ] || break
done
printf '\nThe slowest tests:\n'
tests/support/slowest.py "$times"
printf '\n%s' "$summary"
line together "$((SECONDS - began))" "$began_ticks"
exit "$code"
