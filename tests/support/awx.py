# SPDX-License-Identifier: GPL-3.0-or-later
"""Write examples/site/awx/generated.yml: job templates with surveys, and the type of credential for secrets.

There is a job template for every verb. Types, choices, defaults and descriptions of its questions are those in
roles/common/meta/variables.yml; which variables it asks for stands here, in ``ASKED``. Run it after a change of either,
or when there is a new playbook: ``python tests/support/awx.py``. A unit test fails when it was forgotten.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Mapping, NamedTuple, Optional

import yaml

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / ".ansible/collections"))  # when this is run as a program

from ansible_collections.ptnextjs.docker_vps.tests.support import sites, variables

PREFIX = "docker_vps_"
LONGEST = 1024
"""Characters that AWX keeps of an answer in one line."""


class Asked(NamedTuple):
    """What a job asks for in another way than the variable's own description says."""

    default: object = None
    """Another default than that of an inventory, which is for people at a terminal."""
    required: bool = False
    """Whether nobody can go on without an answer; a schedule and a node of a workflow would have to give it."""
    least: Optional[int] = None
    """The smallest number."""


LOCK = {"lock_force": Asked()}
ASKED: Mapping[str, Mapping[str, Asked]] = {
    "audit": {"audit_fail": Asked()},
    "backup": {"backup_reason": Asked(), "backup_accept_loss": Asked()},
    "backup_export": {"export_directory": Asked(required=True), "export_set": Asked()},
    "backup_list": {"backup_verify": Asked(), "backup_fail_on_problems": Asked()},
    "deploy": LOCK,
    "doctor": {"doctor_fail": Asked()},
    # A job that looks has to fail, or nobody is told.
    "health": {"watch_fail": Asked("critical")},
    "logs": {
        **dict.fromkeys(("logs_tail", "logs_since", "logs_until", "logs_pattern", "logs_timestamps"), Asked()),
        "logs_follow": Asked(),
        "logs_follow_for": Asked(least=1),  # 0 is until somebody presses Ctrl-C, and nobody can
        "logs_release": Asked(),
    },
    "maintenance": LOCK,
    "releases": {},
    "remove": {"remove_confirm": Asked(), "remove_data": Asked(), **LOCK},
    "replica": {},
    "restart": LOCK,
    "restore": {
        **dict.fromkeys(("restore_set", "restore_point_in_time", "restore_stop_app", "restore_from_offsite"), Asked()),
        **dict.fromkeys(("restore_undo", "restore_force", "restore_allow_outside_links"), Asked()),
        **LOCK,
    },
    "restore_drill": {"backup_set": Asked()},
    "rollback": {"rollback_to": Asked(), "rollback_data": Asked(), **LOCK},
    "rotate_secret": LOCK,
    "schedule": {"schedule_state": Asked()},
    "setup": {},
    "start": LOCK,
    "status": {},
    "stop": LOCK,
    "update": LOCK,
}
"""For each playbook the variables that are asked for, without their prefix.

Those that an inventory gives for good are not among them: an answer, also an empty one, wins over the inventory.
"""
FURTHER = {
    # What update must not ask for, since an empty answer is no version, and a workflow gives none.
    "update_to": ("update", "Update the application to a version", {"git_version": Asked(required=True), **LOCK}),
    "undo": ("awx/undo", "Return to the release before, where the update of this workflow put one live", {}),
}
"""Further jobs, with their playbook, title and questions."""
LIMITS: Mapping[str, tuple[int, int]] = {
    "count": (1, 10**6),
    "places": (0, 10**6),
    "port": (1, 65535),
    "seconds": (0, 86400),
    "timeout": (10, 86400),
}
"""The smallest and largest number of a kind; see ``_core/validators.py``."""


def question(name: str, about: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    """Return a question of a survey.

    AWX knows no booleans, and gives what people choose as a string. It fills in the default of a question that a
    schedule does not answer, and leaves out a variable for which there is none.
    """
    default = about["default"] if asked.default is None else asked.default
    made: dict[str, Any] = {
        "question_name": name[len(PREFIX) :].replace("_", " ").capitalize(),
        "question_description": _plain(about["description"]),
        "variable": name,
        "required": asked.required,
    }
    if about["type"] == "bool":
        made |= {"type": "multiplechoice", "choices": ["false", "true"], "default": str(default).lower()}
    elif "choices" in about and about["type"] == "str":
        made |= {"type": "multiplechoice", "choices": [*about["choices"]], "default": default}
    elif about["type"] in ("int", "float"):
        low, high = LIMITS[about["kind"]]
        low = low if asked.least is None else asked.least
        kind = "integer" if about["type"] == "int" else "float"
        made |= {"type": kind, "min": low, "max": high, "default": default}
    elif about["type"] in ("str", "path"):
        # Of what is asked for with a default, nothing at all is no answer.
        least = 1 if asked.required or default else 0
        made |= {"type": "password" if about.get("no_log") else "text", "min": least, "max": LONGEST}
        made |= {} if asked.required else {"default": default}
    else:
        raise ValueError(f"{name} is a {about['type']}, for which a survey has no question")
    if "{{" in str(made.get("default", "")):
        raise ValueError(f"{name} has a template as its default, which AWX would take literally")
    return made


def _plain(text: str) -> str:
    """Return a description without Ansible's markup, and without what is for a command line."""
    text = re.sub(r"\bL\(([^,]*),([^)]*)\)", r"\1", re.sub(r"\b[CEV]\(([^)]*)\)", r"\1", text))
    return re.sub(r" *Give it with -e[^.]*\.", "", text).strip()


def template(job: str, playbook: str, title: str, questions: Mapping[str, Asked]) -> dict[str, Any]:
    """Return what a job template has of its own; the play gives it the rest."""
    known = variables.variables()
    made: dict[str, Any] = {"job": job, "playbook": f"{playbook}.yml", "description": title}
    if questions:
        asked = [question(PREFIX + name, known[PREFIX + name], how) for name, how in questions.items()]
        made["survey"] = {"name": job, "description": title, "spec": asked}
    return made


def templates() -> list[dict[str, Any]]:
    """Return all job templates, in the order of their names."""
    made = []
    for playbook in sites.verbs():
        (title,) = [play["name"] for play in yaml.safe_load((ROOT / f"playbooks/{playbook}.yml").read_text("utf-8"))]
        made.append(template(playbook, playbook, title, ASKED[playbook]))
    made += [template(job, *further) for job, further in FURTHER.items()]
    return made


class _Unsafe(str):
    """A template for AWX, which Ansible must leave alone."""


variables.Dumper.add_representer(_Unsafe, lambda dumper, value: dumper.represent_scalar("!unsafe", str(value)))


def secrets_type() -> dict[str, Any]:
    """Return the type of credential for the secrets of an application, but for those of its off-site store."""
    known = variables.variables()
    secret = {
        name[len(PREFIX) :]: name for name, about in known.items() if about.get("no_log") and about["type"] == "str"
    }
    secret.pop("backup_offsite_password")
    fields = [
        {
            "id": field,
            "type": "string",
            "label": field.replace("_", " ").capitalize(),
            "secret": True,
            "multiline": re.search(r"\bPEM\b|private key", known[name]["description"]) is not None,
            "help_text": _plain(known[name]["description"]),
        }
        for field, name in secret.items()
    ]
    extra = {name: _Unsafe(f"{{{{ {field} }}}}") for field, name in secret.items()}
    return {
        "name": "docker_vps secrets",
        "description": "Secrets of an application, each as its variable",
        "inputs": {"fields": fields},
        "injectors": {"extra_vars": extra},
    }


def written() -> Mapping[Path, str]:
    """Return the contents of all files that are written, by file."""
    head = (
        "---\n# Written by tests/support/awx.py from the variables of an inventory. configure.yml puts it into AWX.\n"
    )
    text = head + variables.dumped({"awx_secrets_type": secrets_type(), "awx_job_templates": templates()}, 120)
    return {ROOT / "examples/site/awx/generated.yml": text}


if __name__ == "__main__":
    for file, content in written().items():
        file.write_text(content, encoding="utf-8")
