#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Make targets one after the other, stop at the first that fails, and say how long each took: stages.sh TARGET…
set -uo pipefail

summary=""
began=$SECONDS
code=0
for target in "$@"; do
    started=$SECONDS
    printf '\n==> make %s\n' "$target"
    "${MAKE:-make}" --no-print-directory "$target" || code=$?
    summary+="$(printf '%-14s %5d s  %s' "$target" "$((SECONDS - started))" "$([ "$code" -eq 0 ] && echo passed || echo FAILED)")"$'\n'
    [ "$code" -eq 0 ] || break
done
printf '\n%s%-14s %5d s\n' "$summary" together "$((SECONDS - began))"
exit "$code"
