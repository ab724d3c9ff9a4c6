# SPDX-License-Identifier: GPL-3.0-or-later
"""Action new_site: the repository from which a site is deployed; documented in the module of this name."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Iterable, Mapping, Optional

import jinja2
import yaml
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core import validators
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import DockerVpsError
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.text import counted
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._module.wording import worded
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._store import files

COLLECTION = Path(__file__).parents[2]
EXAMPLE = COLLECTION / "examples/site"
"""What is copied."""
TEMPLATES = COLLECTION / "playbooks/templates/new_site"
VARIABLES = "prod/group_vars/docker_vps.yml"
FILLED = {"prod/hosts.yml": "hosts.yml.j2", VARIABLES: "docker_vps.yml.j2"}
"""The files of a site that are its own, and their templates."""
SAMPLES = {
    "site": "shop",
    "host": "deploy@vps1.example.com",
    "repository": "https://git.example.com/acme/shop.git",
    "url": "https://shop.example.com",
}
KINDS = {"project": ["site"], "ssh_host": ["host"], "git_url": ["repository"], "http_url": ["url"]}
"""The kinds of what is asked for, as the variables of an inventory have them; see _core/validators.py."""


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core is not typed
    """See DOCUMENTATION of the module."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
        """Return which files of the site are new, and which were left as they are."""
        super().run(tmp, task_vars)
        _unused, asked = self.validate_argument_spec(
            argument_spec={
                **{name: {"type": "str", "required": True} for name in SAMPLES},
                "directory": {"type": "str", "default": ""},
            }
        )
        problems = [*wrong(asked), *self._unread()]
        if problems:
            raise AnsibleActionFail(worded(f"Nothing was written, because {' '.join(problems)}"))
        directory = os.path.abspath(os.path.expanduser(asked["directory"] or asked["site"]))
        wanted = contents(asked)
        try:
            present = {name: files.read(os.path.join(directory, name)) for name in wanted}
            new = {name: text for name, text in wanted.items() if present[name] is None}
            if self._task.check_mode:
                _check_writable(directory, new)
            else:
                _write(directory, new)
        except DockerVpsError as error:
            raise AnsibleActionFail(worded(error.message)) from None  # Ansible says the cause as well
        kept = [name for name, before in present.items() if before is not None and before.text != wanted[name]]
        shown = [_diff(os.path.join(directory, name), text) for name, text in new.items()]
        return {
            "changed": bool(new),
            "directory": directory,
            "written": [*new],
            "kept": kept,
            "summary": summary(directory, len(new), kept, self._task.check_mode),
            **({"diff": shown} if shown and self._task.diff else {}),
        }

    def _unread(self) -> list[str]:
        """Return one sentence per variable of an inventory that was given with -e, and would go nowhere."""
        manager = self._task.get_variable_manager()
        given = sorted(name for name in (manager.extra_vars if manager else {}) if name.startswith("docker_vps_"))
        return [f"new_site does not read {name}: write it into {VARIABLES} of the site afterwards." for name in given]


def wrong(asked: Mapping[str, str]) -> list[str]:
    """Return one sentence per value that is missing or not of its kind."""
    missing = [name for name in SAMPLES if not asked[name]]
    given = {kind: [name for name in names if name not in missing] for kind, names in KINDS.items()}
    return [
        *(f"{name} is missing: give it, as in -e {name}={SAMPLES[name]}." for name in missing),
        *validators.wrong(given, asked, os.path.isdir),
    ]


def contents(asked: Mapping[str, str]) -> dict[str, str]:
    """Return the contents of all files of a site, by their paths in it."""
    copied = {path.relative_to(EXAMPLE).as_posix(): path for path in EXAMPLE.rglob("*") if path.is_file()}
    copied["requirements.txt"] = COLLECTION / "requirements.txt"
    same = {name: path.read_text(encoding="utf-8") for name, path in copied.items() if name not in FILLED}
    return dict(sorted({**same, **filled(asked)}.items()))


def filled(asked: Mapping[str, str]) -> dict[str, str]:
    """Return the contents of the files that differ from one site to the other."""
    user, _at, host = asked["host"].rpartition("@")
    values = {**asked, "host": host, "user": user or "root", "local": asked["host"] == "localhost"}
    jinja = jinja2.Environment(  # noqa: S701  # of YAML
        undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    jinja.filters["scalar"] = scalar
    templates = {name: (TEMPLATES / template).read_text(encoding="utf-8") for name, template in FILLED.items()}
    return {name: jinja.from_string(text).render(values) for name, text in templates.items()}


def scalar(value: str) -> str:
    """Return a string as YAML has it, in quotes only where it would otherwise be something else."""
    try:
        plain = yaml.safe_load(f"key: {value}") == {"key": value}
    except yaml.YAMLError:
        plain = False
    return value if plain else json.dumps(value, ensure_ascii=False)


def summary(directory: str, new: int, kept: list[str], check_mode: bool) -> list[str]:
    """Return what was done and what is next, as sentences."""
    verb = "would be" if check_mode else "is" if new == 1 else "are"
    lines = [f"{counted(new, 'file')} {verb} new in {directory}." if new else f"No file is missing in {directory}."]
    if kept:
        left = "Left as it is, since it differs" if len(kept) == 1 else "Left as they are, since they differ"
        again = "To have one rewritten, move it away and run the same play again."
        lines.append(f"{left} from what new_site writes: {', '.join(kept)}. {again}")
    return lines if check_mode else [*lines, "Next: README.md there says how to set up the host and deploy."]


def _write(directory: str, texts: Mapping[str, str]) -> None:
    """Write files with the directories that they are in.

    Raises:
        DockerVpsError: one of them cannot be written.
    """
    for name, text in texts.items():
        path = os.path.join(directory, name)
        files.make_directory(os.path.dirname(path))
        files.replace(path, files.own(text, 0o644))


def _check_writable(directory: str, names: Iterable[str]) -> None:
    """See that files can be written, without a change.

    Raises:
        DockerVpsError: one of them cannot be.
    """
    for folder in sorted({os.path.dirname(os.path.join(directory, name)) for name in names}):
        while not os.path.lexists(folder):
            folder = os.path.dirname(folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise DockerVpsError(
                f"Nothing can be written into {folder}. Give another directory with -e directory=PATH."
            )


def _diff(path: str, text: str) -> dict[str, str]:
    """Return what Ansible shows of a new file."""
    return {"before": "", "after": text, "before_header": path, "after_header": path}
