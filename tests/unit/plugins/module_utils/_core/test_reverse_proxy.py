# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a reverse proxy reads."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.reverse_proxy import (
    KINDS,
    Site,
    foreseen,
    generation,
    is_served,
    sites,
    whole,
    without,
)

CADDY, NGINX = KINDS["caddy"], KINDS["nginx"]
SHOP = Site("shop", ["shop.test", "www.shop.test"], "shop.test {}\n", "a certificate", "a key\n\n")
BLOG = Site("blog", ["blog.test"], "blog.test {}\n", authority="an authority\n")


def test_a_site_beside_another() -> None:
    tree = whole(CADDY, "import\n", {}, SHOP)
    assert tree["sites/shop.caddy"].splitlines()[1:] == ["shop.test {}"]
    assert (tree["certificates/shop.pem"], tree["certificates/shop.key"]) == ("a certificate\n", "a key\n")
    both = whole(CADDY, "import\n", tree, BLOG)
    assert both["certificates/blog.ca.pem"] == "an authority\n"
    assert sites(both) == {"sites/blog.caddy": ["blog.test"], "sites/shop.caddy": ["shop.test", "www.shop.test"]}
    assert without(both, "blog").keys() == tree.keys()
    assert whole(CADDY, "import\n", without(both, "blog"), None) == tree


def test_a_generation_is_told_by_the_files_themselves() -> None:
    tree = whole(NGINX, "main", {}, BLOG)
    assert f'return 200 "{generation(tree)}";' in tree["generation.conf"]
    assert generation({**tree, "generation.conf": ""}) == generation(tree)
    # A certificate that is renewed changes no line of the configuration.
    for path in tree.keys() - {"generation.conf"}:
        assert generation({**tree, path: "another"}) != generation(tree)
    assert f'respond "{generation(whole(CADDY, "", {}, None))}"' in whole(CADDY, "", {}, None)["generation.caddy"]


def test_a_name_has_one_site() -> None:
    tree = whole(CADDY, "", {}, SHOP)
    assert whole(CADDY, "", without(tree, "shop"), SHOP) == tree
    with pytest.raises(InvalidInput, match=r"^shop\.test belongs to another site, sites/shop\.caddy, and"):
        whole(CADDY, "", tree, Site("blog", ["blog.test", "shop.test"], ""))
    with pytest.raises(InvalidInput, match=r"^shop\.test and www\.shop\.test belong to"):
        whole(CADDY, "", tree, Site("blog", ["www.shop.test", "shop.test"], ""))


@pytest.mark.parametrize(
    "text", ["", "by.hand {}", "# docker-vps: {", "# docker-vps: []", '# docker-vps: {"domains": 1}']
)
def test_of_a_site_by_somebody_else_no_name_is_known(text: str) -> None:
    assert sites({"sites/hand.caddy": text, "Caddyfile": ""}) == {"sites/hand.caddy": []}


def test_another_kind_of_proxy() -> None:
    tree = whole(CADDY, "", {}, SHOP)
    with pytest.raises(InvalidInput, match=r"^sites/shop\.caddy are for another reverse proxy"):
        whole(NGINX, "", tree, BLOG)
    assert whole(NGINX, "", without(tree, "shop"), SHOP).keys() == {
        "nginx.conf",
        "generation.conf",
        "sites/shop.conf",
        "certificates/shop.pem",
        "certificates/shop.key",
    }


GIVEN = {"reverse_proxy": "caddy", "tls": "acme", "domains": ["shop.test"]}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, []),
        ({"reverse_proxy": "none", "domains": []}, []),
        ({"reverse_proxy_state": "absent", "domains": []}, []),
        ({"domains": []}, ["needs a name for the site"]),
        ({"reverse_proxy": "nginx"}, ["Nginx gets no certificates by itself"]),
        ({"reverse_proxy": "nginx", "tls": "off"}, []),
        ({"tls": "certificate", "tls_key": "a key"}, ["its key have to be given"]),
        ({"tls": "certificate", "tls_key": "a key", "tls_certificate": "one"}, []),
    ],
)
def test_what_cannot_be_right(given: dict[str, Any], expected: list[str]) -> None:
    found = foreseen({**GIVEN, **given})
    assert len(found) == len(expected)
    assert all(part in sentence for part, sentence in zip(expected, found))


def test_no_proxy_is_asked_for_by_default() -> None:
    assert (is_served({}), is_served(GIVEN)) == (False, True)
