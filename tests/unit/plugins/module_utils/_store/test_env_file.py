# SPDX-License-Identifier: GPL-3.0-or-later
"""The env file in a real directory: what is written, and when it is not."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from types import MappingProxyType
from typing import Any, Mapping

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import dotenv, environment
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError, InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.env_file import Params, due, run

ME, MINE = os.geteuid(), os.getegid()
VALUES = MappingProxyType(
    {
        "DATABASE_URI": "file:/data/p4yl0ad.db",
        "NEXT_PUBLIC_SERVER_URL": "https://w3bs1te.example.com",
        "PUID": "41234",
        "PGID": "51234",
        "SENDGRID_API_KEY": "SG.s3ndgr1d",
        "TOKEN": 'it\'s a "t0k3n" $HOME # with\nall sorts',
    }
)
SECRET, NEXT_SECRET = "0123456789abcdef" * 4, "fedcba9876543210" * 4


class Host:
    """A directory with an env file, and runs on it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.path = place / "app/.env.production"
        self.secrets = [SECRET, NEXT_SECRET]

    def run(self, values: Mapping[str, str] = VALUES, check_mode: bool = False, **changes: Any) -> dict[str, Any]:
        given = {"path": str(self.path), "data_mount": "/data", "uid": ME, "gid": MINE, "example": True, **changes}
        return run(Params(values=values, **given), lambda: self.secrets.pop(0), check_mode)

    def files(self) -> dict[str, tuple[str, str, int]]:
        """Return text, mode and inode of every file there is."""
        found = {}
        for path in sorted(self.place.rglob("*")):
            if path.is_file():
                facts = path.stat()
                found[path.name] = (path.read_text(), f"{stat.S_IMODE(facts.st_mode):04o}", facts.st_ino)
        return found

    def values(self, suffix: str = "") -> dict[str, str]:
        return dotenv.parse(Path(f"{self.path}{suffix}").read_text())


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_the_first_run_writes_the_file_and_its_example(host: Host) -> None:
    result = host.run()
    assert host.values() == {**VALUES, "PAYLOAD_SECRET": SECRET}
    files = host.files()
    assert {name: mode for name, (_unused, mode, _unused) in files.items()} == {
        ".env.production": "0600",
        ".env.production.example": "0644",
    }
    assert files[".env.production"][0].startswith("# Written by ptnextjs.docker_vps")
    assert files[".env.production.example"][0] == environment.example()
    assert stat.S_IMODE(host.path.parent.stat().st_mode) == 0o750
    names = ["DATABASE_URI", "PAYLOAD_SECRET", "NEXT_PUBLIC_SERVER_URL", "PUID", "PGID", "SENDGRID_API_KEY", "TOKEN"]
    diff = result.pop("diff")
    assert result == {
        "changed": True,
        "path": str(host.path),
        "previous": None,
        "names": names,
        "added": sorted(names),
        "updated": [],
        "removed": [],
        "generated": ["PAYLOAD_SECRET"],
    }
    assert diff["before"] == ""
    assert diff["after"].count("=(new value)\n") == len(names)


def test_the_second_run_changes_nothing_at_all(host: Host) -> None:
    host.run()
    before = host.files()
    result = host.run()
    assert host.files() == before
    assert (result["changed"], result["previous"], result["generated"]) == (False, None, [])
    assert (result["added"], result["updated"], result["removed"]) == ([], [], [])
    assert result["diff"]["before"] == result["diff"]["after"]


def test_a_change_keeps_the_file_before_it(host: Host) -> None:
    host.run()
    before = host.files()
    result = host.run({**VALUES, "TOKEN": "other", "EMAIL_FROM": "site@example.com"})
    after = host.files()
    assert host.values() == {**VALUES, "PAYLOAD_SECRET": SECRET, "TOKEN": "other", "EMAIL_FROM": "site@example.com"}
    assert after[".env.production.previous"][:2] == before[".env.production"][:2]
    assert after[".env.production"][2] != before[".env.production"][2]
    assert after[".env.production.example"] == before[".env.production.example"]
    assert result["previous"] == f"{host.path}.previous"
    assert (result["changed"], result["added"], result["updated"]) == (True, ["EMAIL_FROM"], ["TOKEN"])
    assert "EMAIL_FROM" not in result["diff"]["before"]
    assert "TOKEN=(previous value)\n" in result["diff"]["before"]
    assert "EMAIL_FROM=(new value)\n" in result["diff"]["after"]
    assert result["diff"]["before_header"] == result["diff"]["after_header"] == str(host.path)
    host.run()
    assert host.values(".previous")["TOKEN"] == "other"


def test_keys_that_are_no_longer_named_are_removed_and_told(host: Host) -> None:
    host.run()
    result = host.run({key: value for key, value in VALUES.items() if key != "TOKEN"})
    assert result["removed"] == ["TOKEN"]
    assert "TOKEN" not in host.values()
    assert "TOKEN" not in result["names"]


def test_a_secret_that_was_generated_stays_until_another_is_given(host: Host) -> None:
    host.run()
    host.run({**VALUES, "TOKEN": "other"})
    assert host.values()["PAYLOAD_SECRET"] == SECRET
    result = host.run({**VALUES, "PAYLOAD_SECRET": NEXT_SECRET})
    assert host.values()["PAYLOAD_SECRET"] == NEXT_SECRET
    assert (result["generated"], "PAYLOAD_SECRET" in result["updated"]) == ([], True)


@pytest.mark.parametrize("before", [{}, VALUES, {**VALUES, "TOKEN": "other"}])
def test_check_mode_tells_the_same_and_writes_nothing(host: Host, before: dict[str, str]) -> None:
    if before:
        host.run(before)
    files = host.files()
    result = host.run(check_mode=True)
    assert host.files() == files
    assert host.path.parent.exists() == bool(before)
    host.secrets = [SECRET]
    assert host.run() == result


def test_a_wrong_mode_is_put_right_and_nothing_is_kept_for_it(host: Host) -> None:
    host.run()
    host.path.chmod(0o644)
    result = host.run()
    assert (result["changed"], result["previous"]) == (True, None)
    assert host.files()[".env.production"][1] == "0600"
    assert ".env.production.previous" not in host.files()
    assert host.run()["changed"] is False


@pytest.mark.skipif(ME != 0, reason="only root can give files away")
def test_a_wrong_owner_is_put_right(host: Host) -> None:
    host.run(uid=1234, gid=2345)
    assert host.run(uid=1234, gid=2345)["changed"] is False
    assert (host.path.stat().st_uid, host.path.stat().st_gid) == (1234, 2345)
    assert host.run()["changed"] is True
    assert host.path.stat().st_uid == ME


def test_the_file_before_is_never_more_open_than_ours(host: Host) -> None:
    host.run()
    host.path.chmod(0o666)
    host.run({**VALUES, "TOKEN": "other"})
    assert {mode for name, (_unused, mode, _unused) in host.files().items() if "example" not in name} == {"0600"}


def test_without_an_example(host: Host) -> None:
    host.run(example=False)
    assert list(host.files()) == [".env.production"]


def test_an_example_that_was_changed_is_put_back(host: Host) -> None:
    host.run()
    example = Path(f"{host.path}.example")
    example.write_text("mine")
    before = host.files()[".env.production"]
    result = host.run()
    assert (result["changed"], result["updated"]) == (True, [])
    assert example.read_text() == environment.example()
    assert host.files()[".env.production"] == before


def test_a_file_of_a_person_is_read_and_kept(host: Host) -> None:
    host.path.parent.mkdir()
    text = f"# mine\r\nexport PAYLOAD_SECRET='{SECRET}'\r\nPUID=1000\r\n"
    host.path.write_bytes(text.encode())
    result = host.run()
    assert host.values()["PAYLOAD_SECRET"] == SECRET
    assert result["generated"] == []
    assert Path(f"{host.path}.previous").read_bytes() == text.encode()


def test_a_byte_order_mark_is_told_as_such(host: Host) -> None:
    host.path.parent.mkdir()
    host.path.write_text(f"\ufeffPAYLOAD_SECRET={SECRET}\n")
    with pytest.raises(DockerVpsError, match=r"cannot be understood: line 1 begins with a byte order mark \(BOM\)"):
        host.run()


@pytest.mark.parametrize("value", [f"{SECRET}$$x", f"{SECRET}$HOME", f'"{SECRET}${{A}}"', f'"{SECRET}\\\\$A"'])
def test_a_secret_that_compose_expands_is_refused(host: Host, value: str) -> None:
    host.path.parent.mkdir()
    host.path.write_text(f"PAYLOAD_SECRET={value}\n")
    with pytest.raises(
        DockerVpsError, match=r"PAYLOAD_SECRET in .* has a \$ that Compose replaces, so .*printenv"
    ) as caught:
        host.run({**VALUES, "PAYLOAD_SECRET": ""})  # as plays give it
    assert SECRET not in caught.value.message
    host.run({**VALUES, "PAYLOAD_SECRET": NEXT_SECRET})
    assert host.values()["PAYLOAD_SECRET"] == NEXT_SECRET


@pytest.mark.parametrize("value", [f"'{SECRET}$$x'", f'"{SECRET}\\$$x"'.replace("$$", "$")])
def test_a_secret_that_compose_takes_as_it_is_is_kept(host: Host, value: str) -> None:
    host.path.parent.mkdir()
    host.path.write_text(f"PAYLOAD_SECRET={value}\n")
    host.run()
    assert host.values()["PAYLOAD_SECRET"].startswith(f"{SECRET}$")


def test_a_value_that_compose_expands_is_another_than_the_one_that_stands_there(host: Host) -> None:
    host.path.parent.mkdir()
    host.path.write_text(f"PAYLOAD_SECRET={SECRET}\nTOKEN=a$$b\n")
    result = host.run({**VALUES, "TOKEN": "a$$b"})
    assert "TOKEN" in result["updated"]
    assert "TOKEN" not in host.run({**VALUES, "TOKEN": "a$$b"})["updated"]


def test_a_link_is_not_replaced(host: Host) -> None:
    host.path.parent.mkdir()
    host.path.symlink_to(host.place / "elsewhere")
    for check_mode in (True, False):
        with pytest.raises(DockerVpsError, match="is a link to .*elsewhere, and this would replace it"):
            host.run(check_mode=check_mode)
    assert host.path.is_symlink()


@pytest.mark.parametrize("text", ["what is this\n", 'PAYLOAD_SECRET="open\n'])
def test_a_file_that_cannot_be_understood_is_left_alone(host: Host, text: str) -> None:
    host.path.parent.mkdir()
    host.path.write_text(text)
    with pytest.raises(DockerVpsError) as caught:
        host.run()
    assert caught.value.message == (
        f"{host.path} cannot be understood: line 1 is neither KEY=value nor a comment. Fix that line."
    )
    assert {name: text for name, (text, _unused, _unused) in host.files().items()} == {".env.production": text}


def test_wrong_values_stop_everything(host: Host) -> None:
    with pytest.raises(InvalidInput) as caught:
        host.run({**VALUES, "PUID": "0", "DATABASE_URI": ""})
    assert caught.value.evidence["problems"] == [
        "DATABASE_URI is missing",
        "PUID must be between 1 and 4294967294; 0 is root, and the application never runs as root",
    ]
    assert host.files() == {}


def test_a_directory_that_cannot_be_made_is_told(host: Host) -> None:
    host.path.parent.symlink_to("nowhere")
    with pytest.raises(DockerVpsError, match=r"The directory .*/app cannot be created: File exists\. See with ls -l"):
        host.run()


def test_a_name_alone_is_in_the_working_directory(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(host.place)
    assert host.run(path=".env", example=False)["path"] == ".env"
    assert list(host.files()) == [".env"]


def test_a_secret_is_rotated(host: Host) -> None:
    host.run()
    host.path.write_text(host.path.read_text() + "PAYLOAD_SECRET=$HOME\n")  # what nobody has to know any more
    assert host.run(rotate=True, check_mode=True)["updated"] == ["PAYLOAD_SECRET"]
    host.secrets = [NEXT_SECRET]
    result = host.run(rotate=True)
    assert (result["updated"], result["generated"]) == (["PAYLOAD_SECRET"], ["PAYLOAD_SECRET"])
    assert host.values()["PAYLOAD_SECRET"] == NEXT_SECRET
    with pytest.raises(InvalidInput, match="so there is nothing to change it to"):
        host.run({**VALUES, "PAYLOAD_SECRET": NEXT_SECRET}, rotate=True)


def wanted(**changes: Any) -> dict[str, Any]:
    return {"values": dict(VALUES), "data_mount": "/data", "owner": str(ME), "group": str(MINE), **changes}


def test_a_file_is_due_until_it_is_as_wanted(host: Host) -> None:
    assert due(str(host.path), wanted())
    assert not host.path.exists()
    host.run()
    before = host.files()
    assert not due(str(host.path), wanted())
    assert due(str(host.path), wanted(values={**VALUES, "TOKEN": "another"}))
    assert due(str(host.path), wanted(values={name: VALUES[name] for name in VALUES if name != "TOKEN"}))
    assert due(str(host.path), wanted(owner=str(ME + 1)))
    host.path.with_name(".env.production.example").unlink()
    assert due(str(host.path), wanted())
    assert set(host.files()) <= set(before)


@pytest.mark.parametrize(
    "changes",
    [{"values": {**VALUES, "PUID": 1000}}, {"values": {**VALUES, "PUID": "0"}}, {"owner": "nobody-of-that-name"}],
)
def test_what_would_be_refused_is_due_since_the_module_says_why(host: Host, changes: dict[str, Any]) -> None:
    host.run()
    assert due(str(host.path), wanted(**changes))
