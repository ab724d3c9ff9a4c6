# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failed build says."""

from __future__ import annotations

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.buildlog import failure, under_way, values_of
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.logs import CONTROL
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import FIXTURES
from hypothesis import given
from hypothesis import strategies as st

# Real logs of docker buildx build --progress plain.
STEP, BASE, SYNTAX = [
    (FIXTURES / f"buildlog/buildx-0.13.1-{name}.txt").read_text(encoding="utf-8") for name in ("step", "base", "syntax")
]
RUN = "[4/4] RUN printf '%s\\n' '> site@1.0.0 build' '> next build' '' 'Failed to compile.' './page.tsx:3:7' "


def test_the_failing_step_and_its_last_lines() -> None:
    found = failure(STEP, 2)
    assert found.step == RUN + "\"Type error: Type 'string' is not assignable to type 'number'.\" >&2; exit 1"
    assert found.lines == ("./page.tsx:3:7", "Type error: Type 'string' is not assignable to type 'number'.")
    assert found.sentence == f"the step {found.step} failed"
    assert failure(STEP, 30).lines[0] == "> site@1.0.0 build"
    assert failure(STEP, 30).lines[-2:] == found.lines


NPM = """\
#9 [build 3/5] RUN --mount=type=secret,id=ca,target=/ca --mount=type=cache,target=/root/.npm npm ci
#9 0.5 npm warn deprecated rimraf@3.0.2: Rimraf versions prior to v4 are no longer supported because of errors
#9 1.0 added 900 packages
#10 [other 1/1] RUN sleep 1
#9 2.0 Failed to compile.
#10 2.1 error: of another step
#9 2.2
#9 2.3 ./src/page.tsx
{}
#9 9.7 npm notice New major version of npm available! 10.8.2 -> 11.6.2
#9 9.8 npm error A complete log of this run can be found in: /root/.npm/_logs/x.log
#9 ERROR: process "/bin/sh -c npm ci" did not complete successfully: exit code: 1
------
 > [build 3/5] RUN npm ci:
9.7 npm notice New major version of npm available! 10.8.2 -> 11.6.2
------
ERROR: failed to solve: process "/bin/sh -c npm ci" did not complete successfully: exit code: 1
"""


def test_the_first_error_is_told_and_not_only_the_end() -> None:
    stack = "\n".join(f"#9 3.{number} at next/dist/{number}.js:1" for number in range(50))
    found = failure(NPM.format(stack), 9)
    assert found.step == "[build 3/5] RUN npm ci"
    assert found.lines[:2] == ("Failed to compile.", "./src/page.tsx")
    assert found.lines[5] == "… (46 more lines)"
    assert found.lines[-1].startswith("npm error A complete log")
    assert len(found.lines) == 9
    assert failure(NPM.format(stack), 2).lines[-1].startswith("npm error A complete log")


def test_a_very_long_command_is_cut_at_its_end() -> None:
    found = failure(NPM.format("").replace("npm ci\n", f"npm ci && {'x' * 500}\n"), 9)
    assert found.step.startswith("[build 3/5] RUN npm ci && x")
    assert found.step.endswith("x…")


FRONTEND = """#2 resolve image config for docker-image://docker.io/docker/dockerfile:1
#2 ERROR: failed to do request: Head "https://registry-1.docker.io/v2/": no such host
------
 > resolve image config for docker-image://docker.io/docker/dockerfile:1:
------
ERROR: failed to solve: failed to resolve source metadata for docker.io/docker/dockerfile:1: no such host
"""


def test_a_syntax_that_cannot_be_pulled_is_no_base_image() -> None:
    assert failure(FRONTEND, 30).cause.startswith("what the line # syntax= of the Dockerfile names cannot be pulled")
    pulled = FRONTEND.replace("ERROR: failed to do request", "DONE").partition("------")[0]
    assert failure(pulled + BASE, 30).cause.startswith("its base image")


def test_a_base_that_cannot_be_pulled() -> None:
    found = failure(BASE, 30)
    assert found.step == "[internal] load metadata for docker.io/docker-vps/nowhere:1"
    assert found.cause.startswith("its base image is neither on the host nor can it be pulled")


def test_a_log_without_a_step() -> None:
    found = failure(SYNTAX, 1)
    assert found.lines == (
        "ERROR: failed to solve: dockerfile parse error on line 1: unknown instruction: RUNN (did you mean RUN?)",
    )
    assert found.sentence == (
        "the step of the builder before the first line of the Dockerfile failed: the Dockerfile is invalid; correct "
        "the line that the builder names below"
    )


def test_a_log_of_nothing_that_is_known() -> None:
    sentence = "the step of the builder before the first line of the Dockerfile failed"
    assert failure("ERROR: failed to solve: something else\n", 1).sentence == sentence


# What engine 26.1 says of a stage that is not there, and of a secret that is not given.
STAGE = """#1 [internal] load build definition from Dockerfile
#1 DONE 0.0s
ERROR: failed to solve: target stage "nope" could not be found
"""
NO_SECRET = """#4 [stage-0 2/2] RUN --mount=type=secret,id=npm,required=true npm ci
#4 ERROR: secret npm: not found
ERROR: failed to solve: secret npm: not found
"""


def test_what_a_dockerfile_lacks_is_told() -> None:
    assert failure(STAGE, 1).cause.startswith(
        "the Dockerfile has no stage of the name that ⟦setting build_target⟧ says"
    )
    found = failure(NO_SECRET, 1)
    assert found.step == "[stage-0 2/2] RUN npm ci"
    assert found.cause.startswith("the Dockerfile requires a secret that ⟦setting build_secrets⟧ does not give")


def test_a_build_that_was_ended_names_the_step_at_work() -> None:
    log = STEP[: STEP.index("#8 ERROR")] + "#8 CANCELED\nThe build was ended after 9 seconds.\n"
    found = failure(log, 1)
    assert found.step.startswith("[4/4] RUN printf")
    assert found.cause.startswith(
        "the build took longer than ⟦setting build_timeout⟧ allows, and was ended; raise that,"
    )


@pytest.mark.parametrize("between", ["=", "='", '": "', ": "])
def test_a_key_that_a_build_prints_is_not_told(between: str) -> None:
    key = "a2V5LW9mLXRoaXJ0eS10d28tYnl0ZXMtaW4tYWxsLi4="
    printed = f"#8 0.149 NEXT_SERVER_ACTIONS_ENCRYPTION_KEY{between}{key}\n#8 ERROR"
    found = failure(STEP.replace("#8 ERROR", printed), 1)
    assert found.lines == (f"NEXT_SERVER_ACTIONS_ENCRYPTION_KEY{between}…",)


# What Buildx 0.13 says when dockerd is killed.
LOST = """\
#4 [1/2] FROM docker.io/library/debian
#4 DONE 0.0s

#5 [2/2] RUN echo hello; sleep 60
#5 0.553 hello
ERROR: failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF
"""


def test_an_engine_that_ends_during_a_build_names_the_step_at_work() -> None:
    found = failure(LOST, 9)
    assert (found.step, found.lines) == ("[2/2] RUN echo hello; sleep 60", ("hello",))
    assert found.cause.startswith("the engine ended meanwhile: it was restarted, or killed because the host ran out of")
    assert found.cause.endswith("or build on a larger machine, which ⟦setting build_on⟧ names")


def test_no_log_at_all() -> None:
    assert failure("", 30).lines == ()


@pytest.mark.parametrize(
    ("sign", "cause"),
    [
        ("write /var/lib/docker/x: no space left on device", "the disk of the host is full"),
        ("node:22-alpine: failed to resolve source metadata for docker.io/library/node", "its base image is neither"),
        ("npm error `npm ci` can only install packages when", "package.json and package-lock.json do not agree"),
        ("npm error code UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "a certificate is not trusted"),
        ("ERR_PNPM_OUTDATED_LOCKFILE  Cannot install", "package.json and pnpm-lock.yaml do not agree"),
        ("ERR_PNPM_IGNORED_BUILDS  Ignored build scripts: sharp", "pnpm runs no build scripts of packages"),
        ("YN0028: The lockfile would have been modified by this install, which", "package.json and yarn.lock do not"),
        ("refused before anything is installed: engines in package.json wants", "engines in package.json wants"),
        ("npm error code ENOTFOUND", "the host cannot resolve the package registry's name"),
        ("FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory", "the build ran out of"),
        ("did not complete successfully: exit code: 137", "the build was killed, most likely because"),
        (
            "Next.js build worker exited with code: null and signal: SIGKILL",
            "the build was killed, most likely because",
        ),
        ('error Command failed with signal "SIGKILL".', "the build was killed, most likely because"),  # Yarn 1
    ],
)
def test_known_causes_are_told(sign: str, cause: str) -> None:
    found = failure(STEP.replace("#8 ERROR", f"#8 0.149 {sign}\n#8 ERROR"), 1)
    assert found.cause.startswith(cause)
    assert found.sentence == f"the step {found.step} failed: {found.cause}"


# What npm ci says of the same two trees, by version of npm (9.9.4 and 10.9.9).
CONFLICT = """\
{0} code ERESOLVE
{0} ERESOLVE could not resolve
{0}
{0} While resolving: react-tooltip@4.2.0
{0} Found: react@19.0.0
"""
NOT_LOCKED = """\
{0} code EUSAGE
{0}
{0} `npm ci` can only install packages when your package.json and package-lock.json or npm-shrinkwrap.json are in \
sync. Please update your lock file with `npm install` before continuing.
{0}
{0} Missing: left-pad@1.3.0 from lock file
"""
UNRESOLVED = """\
{0} code ENOTFOUND
{0} syscall getaddrinfo
{0} errno ENOTFOUND
"""


@pytest.mark.parametrize("begin", ["npm ERR!", "npm error"])
@pytest.mark.parametrize(
    ("output", "cause"),
    [
        (CONFLICT, "npm finds no versions that are compatible with each other"),
        (NOT_LOCKED, "package.json and package-lock.json do not agree"),
        (UNRESOLVED, "the host cannot resolve the package registry's name"),
    ],
)
def test_npm_is_understood_whatever_its_version(output: str, cause: str, begin: str) -> None:
    talk = "#9 1.0 npm WARN ERESOLVE overriding peer dependency\n"
    log = NPM.replace("Failed to compile.", "").format(
        "".join(f"#9 2.0 {line}\n" for line in output.format(begin).splitlines())
    )
    found = failure(log.replace("#9 2.0", talk * 9 + "#9 2.0", 1), 9)
    assert found.cause.startswith(cause)
    assert any(line.startswith(f"{begin} code E") for line in found.lines)


PIECES = st.sampled_from(
    [
        "#1 [a 1/2] RUN x\n",
        "#1 0.1 words\n",
        "#2 0.2 others\n",
        "#1 0.3 error\n",
        "\n",
        "#1 ERROR: x\n",
        "#2 ERROR: y\n",
        "#1 CANCELED\n",
    ]
)


@given(st.lists(PIECES | st.text()).map("".join), st.integers(1, 5))
def test_any_log_is_read(log: str, lines: int) -> None:
    found = failure(log, lines)
    assert len(found.lines) <= lines
    plain = CONTROL.sub("", log)
    assert all(line.strip() and (line in plain or "more lines" in line) for line in found.lines)


def test_what_is_for_a_terminal_is_not_kept() -> None:
    log = "#1 [1/1] RUN make\n#1 0.1 \x1b[31mred\x1b[0m\tand\rover\n#1 ERROR: failed\n"
    assert failure(log, 9).lines == ("red\tandover",)


AT_WORK = """\
#0 building with "default" instance using docker driver

#1 [internal] load build definition from Dockerfile
#1 DONE 0.0s

#2 [deps 1/2] FROM docker.io/library/node
#2 CACHED

#3 [deps 2/2] RUN --mount=type=cache,target=/root/.npm npm ci
#3 0.5 #9 [no step]
#4 [runner 1/1] RUN adduser app
#4 ...

#3 [deps 2/2] RUN --mount=type=cache,target=/root/.npm npm ci
"""


@pytest.mark.parametrize(
    ("log", "step"),
    [
        ("", ""),
        (AT_WORK, "[runner 1/1] RUN adduser app"),
        (AT_WORK + "#4 DONE 0.2s\n", "[deps 2/2] RUN npm ci"),
        (AT_WORK + "#4 DONE 0.2s\n#3 CANCELED\n", ""),
        (AT_WORK + "#4 DONE 0.2s\n#3 DONE 9.0s\n#5 exporting to image\n#5 exporting layers 0.1s done\n",
         "exporting to image"),
        ("Another build is running on this host. This one begins when that has ended.\n",
         "waits for another build on this host"),
        ("Another build is running on this host. This one begins when that has ended.\n#1 [x] y\n#1 DONE 0.1s\n", ""),
        (STEP, ""),
    ],
)  # fmt: skip
def test_the_step_that_is_at_work(log: str, step: str) -> None:
    assert under_way(log) == step


@given(st.text())
def test_any_text_is_a_log_of_a_build_under_way(log: str) -> None:
    assert isinstance(under_way(log), str)


def test_the_values_of_build_secrets() -> None:
    assert values_of({"a": "x", "b": {"value": "y"}, "c": {"file": "/z"}}) == {"a": "x", "b": "y", "c": ""}
