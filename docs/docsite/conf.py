# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation site: the repository's Markdown pages and antsibull-docs' reference. Built by make docsite."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.transforms.post_transforms import SphinxPostTransform

GALAXY = yaml.safe_load((Path(__file__).parents[2] / "galaxy.yml").read_text(encoding="utf-8"))

project = f"{GALAXY['namespace']}.{GALAXY['name']}"
version = release = GALAXY["version"]
project_copyright = "the contributors, GPL-3.0-or-later"

extensions = ["myst_parser", "sphinx_antsibull_ext"]
include_patterns = [
    "*.md",
    "reference/**",
    "benchmarks/*.md",
    "docs/*.md",
    "examples/*/README.md",
    "findings/README.md",
    "tests/*/README.md",
    "tests/properties/results.md",
]
myst_heading_anchors = 4
nitpicky = True
suppress_warnings = ["toc.not_included"]  # a unit test has those in docs in the navigation; others are linked

html_theme = "furo"
html_title = project
html_copy_source = False
html_show_sphinx = False
highlight_language = "YAML+Jinja"


# Labels of Ansible's own documentation, to which antsibull-docs refers. intersphinx would need the network for them.
ANSIBLE = "https://docs.ansible.com/ansible/latest/"
LABELS = {
    "action_plugins": "plugins/action.html#action-plugins",
    "ansible_configuration_settings": "reference_appendices/config.html#ansible-configuration-settings",
    "common_return_values": "reference_appendices/common_return_values.html#common-return-values",
}


class Elsewhere(SphinxPostTransform):
    """Resolve links to folders, which forges show and sites do not have, and to Ansible's own documentation."""

    default_priority = 8  # before MyST looks for a page of that name, and warns

    def run(self, **_options: Any) -> None:
        """Replace what can be resolved, and leave everything else."""
        for node in list(self.document.findall(pending_xref)):
            address = self.folder(node) if node["reftype"] == "myst" else label(node["reftarget"])
            if address:
                node.replace_self(nodes.reference("", "", *node.children, refuri=address))

    def folder(self, node: pending_xref) -> str | None:
        """Return the address of a folder's README, or of the folder in the repository when it has none."""
        root, page = Path(self.app.srcdir).resolve(), node["refdoc"]
        target = (root / page).parent.joinpath(node["reftarget"]).resolve()
        if not target.is_dir():
            return None
        name = target.relative_to(root)
        if f"{name}/README" in self.env.found_docs:
            return self.app.builder.get_relative_uri(page, f"{name}/README")
        return f"{GALAXY['repository'].removesuffix('.git')}/tree/HEAD/{name}"


def label(name: str) -> str | None:
    """Return the address of a label of Ansible's documentation."""
    plugin = re.fullmatch(r"ansible_collections\.(\w+)\.(\w+)\.(\w+)", name)
    if plugin and plugin[1] != GALAXY["namespace"]:
        return f"{ANSIBLE}collections/{plugin[1]}/{plugin[2]}/{plugin[3]}.html"
    return ANSIBLE + LABELS[name] if name in LABELS else None


def setup(app: Any) -> None:
    """Add what resolves them."""
    app.add_post_transform(Elsewhere)
