# SPDX-License-Identifier: GPL-3.0-or-later
"""After the removal of shop with its data, and another deploy of blog."""

from __future__ import annotations

from testinfra.host import Host
from two_applications import JOBS, assert_blog_untouched, timers
from vps import releases, set_ids


def test_nothing_is_left_of_shop_but_its_backups(host: Host) -> None:
    assert host.check_output("docker ps --all --format '{{.Names}}'") == "blog-app"
    assert sorted(host.check_output("docker volume ls --format '{{.Name}}'").split()) == ["blog-db", "blog-media"]
    assert host.check_output("docker images --quiet shop-app") == ""
    assert not host.file("/opt/shop").exists
    assert timers(host, "shop") == []
    assert host.run("systemctl list-unit-files 'shop-*' --no-legend").stdout == ""
    assert set_ids(host, "/var/backups/shop")


def test_the_timers_of_blog_stay(host: Host) -> None:
    assert timers(host, "blog") == [f"blog-{job}.timer" for job in JOBS]


def test_another_deploy_of_blog_changes_nothing(host: Host) -> None:
    (line,) = [line for line in host.file("/root/recap").content_string.splitlines() if " ok=" in line]
    assert line.split()[0] == "blog"
    assert "changed=0 " in line
    assert "failed=0 " in line
    assert len(releases(host, "/opt/blog")) == 1


def test_blog_was_not_touched(host: Host) -> None:
    assert_blog_untouched(host, "remove", "deploy")
