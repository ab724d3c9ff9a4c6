# SPDX-License-Identifier: GPL-3.0-or-later
"""Which values are given as files, and what stands in their place."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import secret_files
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError

LOGIN = "postgres://shop:pass@db.example.com/shop"
VALUES = {"PAYLOAD_SECRET": "s", "PORT": "3000"}


def test_which_keys_are_secret() -> None:
    values = {**VALUES, "SENDGRID_API_KEY": "", "DATABASE_URI": LOGIN, "S3_KEY": "k", "GONE": "", "EMAIL_FROM": "a@b.c"}
    assert secret_files.names(values, ["S3_KEY", "GONE"]) == ["DATABASE_URI", "PAYLOAD_SECRET", "S3_KEY"]
    assert secret_files.names({"DATABASE_URI": "file:///data/payload.db"}, []) == []
    assert secret_files.names({"SENDGRID_API_KEY": "x", "NEXT_SERVER_ACTIONS_ENCRYPTION_KEY": "y"}, []) == [
        "NEXT_SERVER_ACTIONS_ENCRYPTION_KEY",
        "SENDGRID_API_KEY",
    ]


@pytest.mark.parametrize(
    ("listed", "extra", "found"),
    [
        ((), {}, ""),
        (("SENDGRID_API_KEY", "S3_KEY"), {"S3_KEY": "x"}, ""),
        (
            ("S3_KYE", "OTHER"),
            {"S3_KEY": "x"},
            "⟦setting secret_keys⟧ names S3_KYE, OTHER, which ⟦setting env⟧ does not",
        ),
        (("DATABASE_URI",), {}, "names DATABASE_URI, which is taken for secret when it has a password"),
        (("DATABASE_URI",), {"DATABASE_URI": LOGIN}, ""),
        (
            (),
            {"PAYLOAD_SECRET_FILE": "/x"},
            "⟦setting env⟧ has PAYLOAD_SECRET_FILE, which ⟦setting secrets files⟧ adds.",
        ),
        (("K",), {"K": "x", "K_FILE": "/x"}, "⟦setting env⟧ has K_FILE"),
        ((), {"SSL_CERT_FILE": "/etc/ssl/cert.pem"}, ""),
    ],
)
def test_what_cannot_be_listed(listed: Sequence[str], extra: Mapping[str, str], found: str) -> None:
    problems = secret_files.problems(listed, extra, "files")
    assert len(problems) == bool(found)
    assert found in "".join(problems)


def test_what_the_environment_adds_is_the_users_own_business() -> None:
    assert secret_files.problems([], {"PAYLOAD_SECRET_FILE": "/x"}, "environment") == []


def test_the_environment_names_files() -> None:
    assert secret_files.environment(VALUES, ["PAYLOAD_SECRET"]) == {
        "PORT": "3000",
        "PAYLOAD_SECRET_FILE": "/run/secrets/PAYLOAD_SECRET",
    }
    assert secret_files.environment(VALUES, []) == VALUES
    with pytest.raises(
        DockerVpsError, match=r"A, B should be given .* has no value for it\. Run ⟦play deploy⟧ without"
    ):
        secret_files.environment({"A": ""}, ["A", "B"])


@pytest.mark.parametrize(("value", "content"), [("x", "x"), ("x\n", "x\n\n"), ("a\nb", "a\nb")])
def test_a_reader_takes_one_newline_from_the_end(value: str, content: str) -> None:
    assert secret_files.content(value) == content
    assert (content[:-1] if content.endswith("\n") else content) == value


def test_whose_files_they_are() -> None:
    assert secret_files.owner({}) == (1000, 1000)
    assert secret_files.owner({"PUID": "1005", "PGID": "33"}) == (1005, 33)
    with pytest.raises(DockerVpsError, match="PUID and PGID must be numbers, but are 1000 and users"):
        secret_files.owner({"PGID": "users"})


def test_what_a_container_has() -> None:
    mounts = [
        {"Type": "bind", "Source": "/opt/shop/releases/1/secrets/A", "Destination": "/run/secrets/A"},
        {"Type": "volume", "Name": "shop-db", "Source": "/var/lib", "Destination": "/data"},
    ]
    assert secret_files.mounted({"Mounts": mounts}) == {"A": "/opt/shop/releases/1/secrets/A"}
    assert secret_files.mounted({"Mounts": None}) == secret_files.mounted(None) == {}


@pytest.mark.parametrize(
    ("image", "takes"),
    [
        (None, False),
        ({}, False),
        ({"Config": {"Labels": None}}, False),
        ({"Config": {"Labels": {"ptnextjs.docker_vps.secrets": "files"}}}, True),
    ],
)
def test_which_images_take_files(image: Any, takes: bool) -> None:
    assert secret_files.takes_files(image) is takes
