# SPDX-License-Identifier: GPL-3.0-or-later
"""After an update, a backup and a restore of shop, and with timers of both."""

from __future__ import annotations

import json

from testinfra.host import Host
from two_applications import assert_blog_untouched, timers
from vps import columns, query, releases, set_ids

JOBS = ("backup", "drill", "maintenance", "recover", "verify", "watch")


def test_shop_is_updated_and_restored(host: Host) -> None:
    assert [one["result"] for one in releases(host, "/opt/shop")] == ["healthy", "healthy"]
    assert columns(host, "shop") == "id,name,website"
    assert query(host, "SELECT group_concat(name) FROM vendors", "shop") == "shop.png"
    assert host.file("/var/lib/docker/volumes/shop-media/_data").listdir() == ["shop.png"]


def test_only_shop_has_sets(host: Host) -> None:
    manifests = [
        json.loads(host.file(f"/var/backups/shop/manifest-{set_id}.json").content_string)
        for set_id in set_ids(host, "/var/backups/shop")
    ]
    assert {archive["volume"] for one in manifests for archive in one["archives"]} == {"shop-db", "shop-media"}
    assert not host.file("/var/backups/blog").exists


def test_each_has_timers_of_its_own(host: Host) -> None:
    assert timers(host, "shop") == [f"shop-{job}.timer" for job in JOBS]
    assert timers(host, "blog") == [f"blog-{job}.timer" for job in JOBS]
    for name in ("shop", "blog"):
        assert f"/opt/{name}/bin/docker-vps" in host.check_output("systemctl cat %s", f"{name}-backup.service")


def test_blog_was_not_touched(host: Host) -> None:
    assert_blog_untouched(host, "update", "backup", "restore", "schedule")
