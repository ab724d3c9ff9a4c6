#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Make targets one after the other, stop at the first that fails, and say how many minutes each took, and which ten
# tests took longest: stages.sh TARGET… Targets in one argument, as "integration acceptance", run at the same time.
set -uo pipefail

cd "$(dirname "$0")/../.." || exit
times=.cache/times
rm -rf "$times"

line() { awk -v name="$1" -v seconds="$2" -v result="${3:-}" 'BEGIN { printf "%-22s %5.1f min  %s\n", name, seconds / 60, result }'; }

# make_all TARGET…: the first one says what it does at once, each other one when it has ended.
make_all() {
    local first="$1" failed=0 log number target
    local -A others=()
    shift
    for target in "$@"; do
        log="$(mktemp)"
        "${MAKE:-make}" --no-print-directory "$target" >"$log" 2>&1 &
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
began=$SECONDS
code=0
for stage in "$@"; do
    started=$SECONDS
    printf '\n==> make %s\n' "$stage"
    read -ra targets <<<"$stage"
    make_all "${targets[@]}" || code=$?
    summary+="$(line "$stage" "$((SECONDS - started))" "$([ "$code" -eq 0 ] && echo passed || echo FAILED)")"$'\n'
    [ "$code" -eq 0 ] || break
done
printf '\nThe slowest tests:\n'
tests/support/slowest.py "$times"
printf '\n%s' "$summary"
line together "$((SECONDS - began))"
exit "$code"
