#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Run ansible-test on a copy of the checkout: ansible_test.sh sanity|units [ARGUMENT…]
#
# With the ansible-core of .venv and, with NEWEST=1, at the same time with the newest on the newest other Python there
# is. CORE=2.20 takes this one only, installed for PYTHON (python3). On the Python of .venv make unit runs the
# unit tests, so here that ansible-core runs them on TARGET, or else on the oldest Python that managed hosts may have.
# The arguments are ansible-test's own, for example --test pylint.
#
# Modules are imported with the oldest, the newest and the own Python; with NEWEST=1 with each that is there.
set -euo pipefail

command="$1"
shift
root="$(cd "$(dirname "$0")/../.." && pwd)"
cache="$root/.cache/ansible-test"
collection="ansible_collections/ptnextjs/docker_vps"

# ansible-test looks for python3.8, python3.9 … in PATH. Interpreters of pyenv and of GitHub's runners are put before
# whatever PATH has, since a pyenv shim exists also for a Python that is not switched on.
pythons=""
for bin in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin "${RUNNER_TOOL_CACHE:-/opt/hostedtoolcache}"/Python/3.*/*/bin; do
    [ ! -d "$bin" ] || pythons="$pythons$bin:"
done

# venv_with DIRECTORY PYTHON REQUIREMENT: a virtual environment, made again when the requirement is another.
venv_with() {
    [ "$(cat "$1/.requirement" 2>/dev/null)" != "$2 $3" ] || return 0
    rm -rf "$1"
    "$2" -m venv "$1"
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check "$3"
    printf '%s' "$2 $3" >"$1/.requirement"
}

# newest_python: the newest one beside that of .venv that the newest ansible-core may run on.
newest_python() {
    local name
    for name in python3.14 python3.13 python3.12; do
        [ ! -e "$root/.venv/bin/$name" ] || return 0
        PATH="$pythons$PATH" "$name" -c 'import ensurepip, sys; print(sys.executable)' 2>/dev/null && return 0
    done
}

# oldest_python: the version of the oldest one for managed hosts that is there.
oldest_python() {
    local version
    for version in $("$root/.venv/bin/python" -c '
from ansible_test._util.target.common.constants import CONTROLLER_PYTHON_VERSIONS, REMOTE_ONLY_PYTHON_VERSIONS
print(*REMOTE_ONLY_PYTHON_VERSIONS, *CONTROLLER_PYTHON_VERSIONS)'); do
        PATH="$pythons$PATH" "python$version" -c 'import ensurepip' 2>/dev/null && break
    done
    echo "$version"
}

# copy TO: what is committed or could be. The link that makes the checkout a collection is not part of it.
copy() {
    rm -rf "$1"
    mkdir -p "$1/$collection"
    git -C "$root" ls-files -z --cached --others --exclude-standard -- ':!.ansible' |
        (cd "$root" && while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done) |
        tar --create --directory "$root" --null --files-from=- | tar --extract --directory "$1/$collection"
    # Or ansible-test asks the checkout's repository, which ignores .cache, and finds nothing to test.
    git init --quiet "$1/$collection"
}

# few_pythons VERSION: the configuration that leaves the versions between the oldest, this one and the newest out.
few_pythons() {
    "$root/.venv/bin/python" - "$1" <<'PYTHON'
import sys
from ansible_test._util.target.common.constants import CONTROLLER_PYTHON_VERSIONS, REMOTE_ONLY_PYTHON_VERSIONS
versions = [*REMOTE_ONLY_PYTHON_VERSIONS, *CONTROLLER_PYTHON_VERSIONS]
between = [version for version in versions[1:-1] if version != sys.argv[1]]
print("modules: {python_requires: '%s'}" % ",".join([">=" + versions[0], *("!=%s.*" % version for version in between)]))
PYTHON
}

# home HOME VENV: what ansible-test wants below its HOME. It keeps its virtual environments there too, so a second run is
# fast, and two that run at once each need a HOME of their own.
home() {
    local home="$1" python="$2/bin/python" pip_version
    mkdir -p "$home/.ansible/test/cache" "$home/.config/pip"
    # It hides PIP_… variables and the person's configuration from pip: hand them on as a file, which may hold a password.
    touch "$home/.config/pip/pip.conf"
    chmod 600 "$home/.config/pip/pip.conf"
    "$python" -m pip config list | "$python" -c '
import ast, sys
settings = {}
for line in sys.stdin:  # the variables come first, and prevail
    name, _, value = line.partition("=")
    settings.setdefault(name.rpartition(".")[2], ast.literal_eval(value).replace("\n", "\n    "))
print("[global]", *(f"{name} = {value}" for name, value in settings.items()), sep="\n")
' >"$home/.config/pip/pip.conf"
    # It downloads get-pip from a host of its own. The same pip comes from where pip finds packages.
    pip_version="$("$python" -c '
import types
from ansible_test._internal.python_requirements import get_venv_packages
print(get_venv_packages(types.SimpleNamespace(version=""))["pip"])')"
    local wheel="$home/.ansible/test/cache/pip-$pip_version-py3-none-any.whl"
    [ -f "$wheel" ] || "$python" -m pip download --quiet --no-deps --dest "${wheel%/*}" "pip==$pip_version"
    # As files: what Python imports of an archive it compiles each time.
    [ -d "${wheel%.whl}" ] || "$python" -m zipfile -e "$wheel" "${wheel%.whl}"
    cat >"$home/.ansible/test/cache/get_pip_${pip_version//./_}.py" <<PYTHON
import sys
sys.path.insert(0, "${wheel%.whl}")
from pip._internal.cli.main import main
sys.exit(main(["install", "--no-compile", "--ignore-installed", *(option for option in sys.argv[1:] if option not in ("--no-setuptools", "--no-wheel"))]))
PYTHON
}

# run_with VENV [ARGUMENT…]
run_with() {
    local venv="$1" version started=$SECONDS code=0
    shift
    version="$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
    local place="$cache/on-$version" home="$cache/home-$version"
    copy "$place"
    home "$home" "$venv"
    case "$command" in
        sanity)
            set -- --controller "origin:python=$version" "$@"
            [ -n "${NEWEST:-}" ] || few_pythons "$version" >"$place/$collection/tests/config.yml"
            ;;
        *)
            # In environments of its own: otherwise it installs what tests need into the interpreter itself.
            set -- --requirements --controller "origin:python=venv/$version" --target-python "venv/${TARGET:-$version}" "$@"
            version="${TARGET:-$version}"
            ;;
    esac
    cd "$place/$collection"
    HOME="$home" PATH="$venv/bin:$pythons$PATH" \
        "$venv/bin/ansible-test" "$command" --color no "$@" </dev/null || code=$?
    cd "$root"
    printf 'ansible-test %s: %s, Python %s: %s in %s s\n' "$command" \
        "$("$venv/bin/ansible-test" --version | cut -d' ' -f3 | sed 's/^/ansible-core /')" "$version" \
        "$([ "$code" -eq 0 ] && echo passed || echo failed)" "$((SECONDS - started))"
    return "$code"
}

mkdir -p "$cache"
# An absent tool's test passes without having looked.
[ "$command" != sanity ] || command -v shellcheck >/dev/null || "$root/tests/support/packages.sh" shellcheck

if [ -n "${CORE:-}" ]; then
    venv_with "$cache/core-$CORE" "$(PATH="$root/.venv/bin:$pythons$PATH" type -P "${PYTHON:-python3}")" "ansible-core~=$CORE.0"
    run_with "$cache/core-$CORE" "$@"
    exit
fi

newest=""
[ -z "${NEWEST:-}" ] || newest="$(newest_python)"
code=0
if [ -n "$newest" ]; then
    {
        venv_with "$cache/core-newest" "$newest" "$(grep '^ansible-core' "$root/requirements.txt")"
        TARGET="" run_with "$cache/core-newest"
    } >"$cache/newest.log" 2>&1 &
fi
[ "$command" != units ] || TARGET="${TARGET:-$(oldest_python)}"
run_with "$root/.venv" "$@" || code=$?
if [ -n "$newest" ]; then
    wait $! || code=$?
    cat "$cache/newest.log"
fi
exit "$code"
