# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what examples/site has of the collection: a playbook for each verb, and the inventory that new_site writes.

Run it after a change of a playbook's name or of ``playbooks/templates/new_site``: ``python tests/support/sites.py``. A
unit test fails when it was forgotten.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Mapping

import yaml

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / ".ansible/collections"))  # when this is run as a program
from ansible_collections.ptnextjs.docker_vps.plugins.action import new_site

SITE = ROOT / "examples/site"
VALUES = {
    "site": "site",
    "host": "root@vps1.example.com",
    "repository": "https://git.example.com/acme/site.git",
    "url": "https://www.example.com",
}
"""With which new_site writes examples/site itself."""


def verbs() -> list[str]:
    """Return the playbooks of the collection that do something with the hosts of a site."""
    return sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml") if path.stem != "new_site")


def playbook(verb: str) -> str:
    """Return the playbook of a site that is one of the collection."""
    (play,) = yaml.safe_load((ROOT / f"playbooks/{verb}.yml").read_text(encoding="utf-8"))
    return f"---\n- name: {play['name']}\n  ansible.builtin.import_playbook: ptnextjs.docker_vps.{verb}\n"


def gitlab_jobs(site: Path) -> Mapping[str, Any]:
    """Return the jobs of a site's pipeline of GitLab, each with what it extends, which is merged as GitLab does."""
    jobs = yaml.safe_load((site / "ci/gitlab.yml").read_text(encoding="utf-8"))
    return {
        name: {
            **jobs[job["extends"]],
            **job,
            "variables": {**jobs[job["extends"]]["variables"], **job.get("variables", {})},
        }
        for name, job in jobs.items()
        if not name.startswith(".")
    }


def written() -> Mapping[Path, str]:
    """Return the contents of all files of examples/site that have their source elsewhere."""
    filled = {SITE / name: text for name, text in new_site.filled(VALUES).items()}
    return {**{SITE / f"{verb}.yml": playbook(verb) for verb in verbs()}, **filled}


if __name__ == "__main__":
    for file, text in written().items():
        file.write_text(text, encoding="utf-8")
