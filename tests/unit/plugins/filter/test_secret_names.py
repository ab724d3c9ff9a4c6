# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter secret_names."""

from __future__ import annotations

from ansible_collections.ptnextjs.docker_vps.plugins.filter.secret_names import FilterModule


def test_the_names_of_secrets() -> None:
    names = FilterModule().filters()["secret_names"]
    assert names({"PAYLOAD_SECRET": "x", "S3_KEY": "y", "PORT": "1"}, ["S3_KEY"]) == ["PAYLOAD_SECRET", "S3_KEY"]
