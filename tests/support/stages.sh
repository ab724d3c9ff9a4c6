#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Make targets one after the other, stop at the first that fails, and say how many minutes each took, and which ten
# tests took longest: stages.sh TARGET…
set -uo pipefail

cd "$(dirname "$0")/../.." || exit
times=.cache/times
rm -rf "$times"

line() { awk -v name="$1" -v seconds="$2" -v result="${3:-}" 'BEGIN { printf "%-14s %5.1f min  %s\n", name, seconds / 60, result }'; }

summary=""
began=$SECONDS
code=0
for target in "$@"; do
    started=$SECONDS
    printf '\n==> make %s\n' "$target"
    "${MAKE:-make}" --no-print-directory "$target" || code=$?
    summary+="$(line "$target" "$((SECONDS - started))" "$([ "$code" -eq 0 ] && echo passed || echo FAILED)")"$'\n'
    [ "$code" -eq 0 ] || break
done
printf '\nThe slowest tests:\n'
tests/support/slowest.py "$times"
printf '\n%s' "$summary"
line together "$((SECONDS - began))"
exit "$code"
