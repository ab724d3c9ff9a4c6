# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and manifests of backup sets."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.manifest import (
    SUFFIXES,
    BadManifest,
    DrillResult,
    Foreign,
    archive_file,
    check_names,
    id_of,
    manifest_file,
    new_id,
    parse,
    time_of,
    upload_path,
    write,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.sets import DATABASE, SET_ID, archive_of, manifest_of

FILE = f"manifest-{SET_ID}.json"


def test_the_specifications_names() -> None:
    assert archive_file("db", SET_ID, "gzip") == "db-20260131-020000.tar.gz"
    assert archive_file("media", SET_ID, "zstd") == "media-20260131-020000.tar.zst"
    assert archive_file("media", SET_ID, "none") == "media-20260131-020000.tar"
    assert manifest_file(SET_ID) == FILE


@pytest.mark.parametrize("kind", list(SUFFIXES))
def test_a_name_gives_its_time_back(kind: str) -> None:
    assert id_of(archive_file("my-db", SET_ID, kind), "archive") == SET_ID
    assert id_of(FILE) == SET_ID


@pytest.mark.parametrize(
    "file", ["db.tar.gz", f"db-{SET_ID}.zip", f"db-{SET_ID}.tar.gz.partial", f"-{SET_ID}.tar", "x"]
)
def test_other_names_have_none(file: str) -> None:
    assert id_of(file, "archive") is None
    assert id_of(file) is None


def test_times_are_utc() -> None:
    assert time_of(SET_ID) == datetime(2026, 1, 31, 2, tzinfo=timezone.utc)


@pytest.mark.parametrize("set_id", ["20260231-020000", "2026131-0200000", "latest", "", "20260131-0200001"])
def test_what_is_no_timestamp(set_id: str) -> None:
    with pytest.raises(InvalidInput, match="YYYYMMDD-HHMMSS"):
        time_of(set_id)


def test_a_new_timestamp_is_one_that_is_free() -> None:
    now = datetime(2026, 1, 31, 23, 59, 59, tzinfo=timezone.utc)
    assert new_id(now, []) == "20260131-235959"
    assert new_id(now, ["20260131-235959", "20260201-000000"]) == "20260201-000001"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a.png", "a.png"),
        ("./a.png", "a.png"),
        ("sub//a.png", "sub/a.png"),
        ("sub/./b/../a.png", "sub/a.png"),
        ("a.png/", "a.png"),
        ("", ""),
        (".", ""),
        ("./", ""),
        ("../a.png", "../a.png"),
        ("sub/../../a.png", "../a.png"),
        ("/a.png", "/a.png"),
        ("a\0/../b", "a\0/../b"),
        ("a.\udcff", "a.\udcff"),
    ],
)
def test_names_of_uploads_become_paths(name: str, path: str) -> None:
    assert upload_path(name) == path


def test_names_that_cannot_be_told_apart() -> None:
    check_names(["db", "media", "my-db_2.x"])
    with pytest.raises(InvalidInput, match="different names"):
        check_names(["db", "db"])


@pytest.mark.parametrize("name", ["manifest", "", "a/b", ".db", "-db", "db-", "d b", "d\n"])
def test_names_that_no_archive_may_have(name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot name an archive"):
        check_names([name])


def test_a_manifest_comes_back_as_it_was() -> None:
    proof = DrillResult("2026-02-01T03:00:00Z", True, "", "sha256:ab", 12.5)
    for manifest in (manifest_of(), manifest_of(drills=(proof,), warnings=("w",), archives=())):
        assert parse(write(manifest), FILE) == manifest


def test_unknown_fields_are_passed_over() -> None:
    given = {**json.loads(write(manifest_of())), "later": 1}
    assert parse(json.dumps(given), FILE) == manifest_of()


def test_a_set_is_verified_by_its_last_drill() -> None:
    passed = DrillResult("2026-02-01T03:00:00Z", True, "", "", 1.0)
    failed = replace(passed, passed=False, reason="unhealthy")
    assert not manifest_of().verified
    assert manifest_of(drills=(failed, passed)).verified
    assert not manifest_of(drills=(passed, failed)).verified


def test_the_schema_of_a_set_is_that_of_all_its_databases() -> None:
    two = archive_of("db", databases=(replace(DATABASE, schema="a"), replace(DATABASE, schema="b")))
    assert manifest_of(archives=(two,)).schema == "a+b"
    assert manifest_of(archives=()).schema == ""


def changed(path: str, value: Any) -> str:
    """Return a manifest with one field changed; the path's parts are keys and indexes."""
    whole: Any = json.loads(write(manifest_of()))
    *way, last = (int(part) if part.isdigit() else part for part in path.split("."))
    node = whole
    for part in way:
        node = node[part]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return json.dumps(whole)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("[]", "indices"),
        ("null", "not subscriptable"),
        (changed("format", 2), "format is 2"),
        (changed("app", None), "'app' is missing"),
        (changed("app", 7), "app is 7"),
        (changed("archives", "x"), "indices"),
        (changed("archives.0.bytes", "9"), "bytes is '9'"),
        (changed("archives.0.labels", []), "labels is"),
        (changed("archives.0.file", "../../etc/shadow"), "names the file"),
        (changed("archives.0.name", "../x"), "cannot name an archive"),
        (changed("archives.0.compression", "lzma"), "'lzma' is missing"),
        (changed("archives.0.databases.0.tables", None), "'tables' is missing"),
        (changed("id", "20260131-020001"), "belongs to 20260131-020001"),
        (changed("id", "yesterday"), "not the timestamp"),
        (changed("uploads", {}), "'named' is missing"),
        (changed("archives.0.bytes", -1), "bytes is -1"),
        (changed("archives.0.plain_bytes", True), "plain_bytes is True"),
        (changed("archives.0.plain_bytes", 10**19), "plain_bytes is 10000000000000000000"),
        (changed("archives.0.databases.0.tables", {"a": 10**19}), "tables is {'a': 10000000000000000000}"),
        (changed("archives.0.inconsistent", [1]), "inconsistent is [1]"),
        (changed("archives.0.labels", {"a": 1}), "labels is {'a': 1}"),
        (changed("archives.0.databases.0.tables", {"a": -1}), "tables is {'a': -1}"),
        (changed("archives.0.volume", "../etc"), "'../etc' cannot be the name of a volume"),
        (changed("archives.0.sha256", ""), "the sha256 of db-20260131-020000.tar.gz is ''"),
        (changed("downtime", -0.5), "downtime is -0.5"),
        (changed("downtime", float("nan")), "NaN is no number"),
        (changed("downtime", float("-inf")), "-Infinity is no number"),
        (changed("after", "yesterday"), "not the timestamp"),
        (changed("id", "x" * 10**6), "is not the timestamp of a set"),
        ('{"downtime": 1e999}', "1e999 is too large a number"),
        ('{"format": ' + "9" * 10**6 + "}", "is too large a number"),
        ('{"format": 1, "format": 1}', "'format' stands in it twice"),
        ('{"format": "\\ud800"}', "surrogates not allowed"),
        ('{"format": "' + "x" * 10**6 + '"}', "its format is 'xxx"),
        ("[" * 200_000, "it is nested too deeply"),
        ('{"a":' * 200_000, "it is nested too deeply"),
    ],
)
def test_what_is_no_manifest_is_told_and_why(text: str, why: str) -> None:
    with pytest.raises(BadManifest) as caught:
        parse(text, FILE)
    assert FILE in caught.value.message
    assert why in caught.value.message
    assert len(caught.value.message) < 600


def test_what_has_a_default_may_be_missing_so_that_versions_read_each_others_manifests() -> None:
    given = json.loads(write(manifest_of()))
    del given["drills"]
    given["of_a_later_version"] = True
    assert parse(json.dumps(given), FILE) == manifest_of()


def test_a_letter_beyond_16_bits_may_be_escaped() -> None:
    given = write(manifest_of(reason="before 🎉"))
    assert "\\ud83c" in given
    assert parse(given, FILE).reason == "before 🎉"


def test_the_order_in_which_sets_were_made_does_not_depend_on_the_clock() -> None:
    """Made in this order; the third one while the clock was a year ahead."""
    made = [
        manifest_of("20260101-020000"),
        manifest_of("20260102-020000"),
        manifest_of("20270103-020000"),
        manifest_of("20260104-020000", after="20270103-020000"),
        manifest_of("20260105-020000", after="20270103-020000"),
        manifest_of("20270104-020000"),
        manifest_of("20280101-020000"),
    ]
    assert sorted([*made[3:], *made[:3]], key=lambda one: one.made) == made


@pytest.mark.parametrize("kind", ["databases", "foreign"])
def test_a_check_has_three_answers(kind: str) -> None:
    foreign = (Foreign("phone.db", 4096, "damaged", "its header names an impossible size of pages"),)
    whole = manifest_of(archives=(archive_of("db", foreign=foreign),))
    assert parse(write(whole), FILE) == whole
    assert whole.archives[0].checks == ("sound",)
    other = json.loads(write(whole))
    other["archives"][0][kind][0]["check"] = "ok"
    with pytest.raises(BadManifest, match="the check of a database is 'ok'"):
        parse(json.dumps(other), FILE)
