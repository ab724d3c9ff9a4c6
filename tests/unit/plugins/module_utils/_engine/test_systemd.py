# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd says of the engine, with a systemctl of our own; see also test_systemd_units."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.systemd import engine_start, later, timers


@pytest.mark.parametrize(
    ("output", "start"),
    [
        (
            "ExecMainStartTimestamp=Sun 2026-11-29 03:09:05 UTC\nActiveEnterTimestamp=Sun 2026-11-29 03:09:16 UTC",
            ("2026-11-29T03:09:05", "2026-11-29T03:09:16"),
        ),
        ("ExecMainStartTimestamp=\nActiveEnterTimestamp=", None),
        ("nothing", None),
        ("exit", None),
    ],
)
def test_when_the_engine_was_started(
    output: str, start: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if output != "exit":
        (tmp_path / "systemctl").write_text(f"#!/bin/sh\necho '{output}'\n")
        (tmp_path / "systemctl").chmod(0o755)
    assert engine_start() == start


def test_what_is_done_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "systemd-run").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/given\n')
    (tmp_path / "systemd-run").chmod(0o755)
    later("back", 60.0, ["/bin/sh", "-c", "mv a b"])
    given = (tmp_path / "given").read_text().splitlines()
    assert {"--unit=back", "--on-active=60", "--timer-property=AccuracySec=100ms"} <= set(given)
    assert given[-4:] == ["--", "/bin/sh", "-c", "mv a b"]


ROWS = (
    '[{"next":1769997600000000,"left":1,"last":0,"passed":0,"unit":"shop-backup.timer","activates":"shop-backup.service"},'
    '{"next":0,"unit":"shop-recover.timer"},{"next":null,"unit":"shop-drill.timer"},{"next":5,"unit":"shop-b-drill.timer"}]'
)


def test_when_timers_run_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    command = tmp_path / "systemctl"
    command.write_text(f"#!/bin/sh\necho \"$*\" >{tmp_path}/given\nprintf %s '{ROWS}'\n")
    command.chmod(0o755)
    found = timers("shop", str(tmp_path))
    assert found == {"shop-backup.timer": "2026-02-02T02:00:00Z", "shop-drill.timer": "", "shop-recover.timer": ""}
    assert (tmp_path / "given").read_text() == "list-timers --all --output=json shop-*.timer\n"
    command.write_text("#!/bin/sh\necho 0 timers listed.\n")
    with pytest.raises(DockerVpsError, match="does not list timers as JSON"):
        timers("shop", str(tmp_path))
    with pytest.raises(DockerVpsError, match="systemd does not run this host"):
        timers("shop", str(tmp_path / "none"))
