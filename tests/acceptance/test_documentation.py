# SPDX-License-Identifier: GPL-3.0-or-later
"""A fresh deployment by the documentation alone: criterion 15 of the specification."""

from __future__ import annotations

from pathlib import Path

import yaml
from lab import CA_BUNDLE, ROOT, App, clean_environment, commit, copied, docker, image_of, play, run
from payload import ACTIONS_KEY


def test_15_the_documentation_enables_a_fresh_deployment(tmp_path: Path) -> None:
    """Follow README.md: install the collection's tarball, have new_site write a site, and deploy that."""
    collections = tmp_path / "collections"
    run("ansible-galaxy", "collection", "build", "--output-path", str(tmp_path), cwd=ROOT)
    tarball = next(tmp_path.glob("ptnextjs-docker_vps-*.tar.gz"))
    ours = ROOT / ".ansible/collections/ansible_collections"
    for name in ("docker", "library_inventory_filtering_v1"):
        target = collections / "ansible_collections/community" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(ours / "community" / name)
    place = ("--collections-path", str(collections))
    run(
        "ansible-galaxy",
        "collection",
        "install",
        str(tarball),
        *place,
        "--offline",
        cwd=tmp_path,
        env=clean_environment(),
    )
    sources = copied(ROOT / "examples/payload-app", tmp_path / "sources")
    commit(sources)
    environment = {"ANSIBLE_COLLECTIONS_PATH": str(collections)}
    given = ("site=site", "host=localhost", f"repository=file://{sources}", "url=http://localhost:8080")
    values = [argument for value in given for argument in ("-e", value)]
    play(Path("ptnextjs.docker_vps.new_site"), Path("localhost,"), *values, cwd=tmp_path, **environment).succeeded()
    site = tmp_path / "site"
    machine = {"docker_vps_base_image": image_of("base_image.sh"), "docker_vps_build_ca": CA_BUNDLE}
    with (site / "prod/group_vars/docker_vps.yml").open("a") as file:
        file.write(yaml.safe_dump(machine))
    app = App("site", tmp_path)
    app.remove()
    app.network = "proxy"
    app.directory.mkdir()
    (app.directory / "server_actions.key").write_text(ACTIONS_KEY)  # or Next.js builds all of it once more
    try:
        played = play(Path("deploy.yml"), Path("prod"), cwd=site, **environment).succeeded()
        assert "site-app is healthy" in played.text
        assert app.get("/api/health").json["status"] == "healthy"
        again = play(Path("deploy.yml"), Path("prod"), cwd=site, **environment).succeeded()
        assert again.recap["changed"] == 0
    finally:
        docker("rm", "--force", "--volumes", app.container, check=False)
        app.network = "site-none"
        app.remove()
