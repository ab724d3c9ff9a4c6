# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that will do, and those that will not."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store.certificate import check_certificate
from ansible_collections.ptnextjs.docker_vps.tests.support.certificates import certificate

NAMES = ("shop.test", "*.blog.test")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    return certificate(tmp_path, *NAMES)


def refused(text: str, key: str, *domains: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        check_certificate(text, key, domains)
    return caught.value.message


def test_one_that_will_do(pair: tuple[str, str]) -> None:
    assert check_certificate(*pair, ["shop.test", "*.blog.test", "en.blog.test"]) == []


def test_one_that_ends_soon(tmp_path: Path) -> None:
    text, key = certificate(tmp_path, *NAMES, days=3)
    assert [caution for caution in check_certificate(text, key, ["shop.test"]) if "ends in 3 days" in caution]


def test_one_that_has_ended(tmp_path: Path) -> None:
    message = refused(*certificate(tmp_path, *NAMES, days=-1), "shop.test")
    assert " has expired, and it is to be for shop.test. Get one" in message


@pytest.mark.parametrize(("domain", "cause"), [("a.test", "not for that name"), ("192.0.2.1", "not for that address")])
def test_one_for_another_name(pair: tuple[str, str], domain: str, cause: str) -> None:
    assert f" is {cause}, and it is to be for {domain}." in refused(*pair, "shop.test", domain)


def test_a_key_of_another_one(pair: tuple[str, str], tmp_path: Path) -> None:
    _unused, key = certificate(tmp_path, *NAMES)
    assert "do not belong together" in refused(pair[0], key, "shop.test")


def test_what_is_none(pair: tuple[str, str]) -> None:
    text, key = pair
    for certificate_of, key_of in (("", key), ("nonsense", key), (text, ""), (text, text), (key, key)):
        assert "are no certificate and key in PEM" in refused(certificate_of, key_of, "shop.test")
