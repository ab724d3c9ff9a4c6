# SPDX-License-Identifier: GPL-3.0-or-later
"""A small stand-in for AWX's API: what the modules of awx.awx ask of it, and what AWX refuses of surveys and schedules.

It keeps objects in memory and gives no job to anybody; ``job`` says which variables a job would get.
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Iterator, Mapping, Optional
from urllib.parse import parse_qsl, urlsplit

JOBS = ("job_templates", "workflow_job_templates", "projects", "inventory_sources")
"""Collections of what can be run, which AWX also lists together."""
ANSWERS = {"text": str, "password": str, "multiplechoice": str, "integer": int, "float": (int, float)}


class Refused(Exception):
    """What AWX answers with 400."""


class Awx:
    """The objects by collection and id, and what belongs to them."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[int, dict[str, Any]]] = {}
        self.related: dict[tuple[str, int, str], list[int]] = {}
        self.surveys: dict[int, dict[str, Any]] = {}
        self.writes: list[str] = []
        self.make("credential_types", name="Machine", kind="ssh", managed=True)
        self.make("credential_types", name="Vault", kind="vault", managed=True)
        self.make("credentials", name="Ansible Galaxy", credential_type=0)

    def make(self, collection: str, **fields: Any) -> dict[str, Any]:
        """Make an object."""
        number = sum(map(len, self.objects.values())) + 1
        kind = {"inventories": "inventory"}.get(collection, collection[:-1])
        url = f"/api/v2/{collection}/{number}/"
        related = {"survey_spec": f"{url}survey_spec/", "update": f"{url}update/"}
        made = {"id": number, "type": kind, "url": url, "related": related, "summary_fields": {}, **fields}
        if collection == "projects":
            made["scm_revision"] = "0" * 40
        self.objects.setdefault(collection, {})[number] = made
        return made

    def find(self, collection: str, wanted: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Yield the objects whose fields have these values."""
        collections = JOBS if collection == "unified_job_templates" else (collection,)
        for found in [one for name in collections for one in self.objects.get(name, {}).values()]:
            if all(str(found.get(field)) == value for field, value in wanted.items()):
                yield found

    def named(self, collection: str, name: str) -> dict[str, Any]:
        """Return the only object of a name."""
        (found,) = self.find(collection, {"name": name})
        return found

    def check(self, collection: str, fields: Mapping[str, Any]) -> None:
        """Refuse what AWX refuses."""
        if collection == "schedules":
            rule = fields["rrule"]
            if not re.match(r"DTSTART(;TZID=\S+)?:\d{8}T\d{6}Z? RRULE:", rule) or "INTERVAL" not in rule:
                raise Refused(f"rrule: {rule}")
            job = self.objects["job_templates"].get(fields["unified_job_template"])
            if job:
                self.job(job["name"], fields.get("extra_data") or {})
        if collection == "job_templates" and not str(fields.get("playbook", "x.yml")).endswith(".yml"):
            raise Refused("playbook")

    def job(self, template: str, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the variables that a job of a template gets with these answers."""
        job = self.named("job_templates", template)
        spec = self.surveys.get(job["id"], {"spec": []})["spec"]
        if not job.get("survey_enabled"):
            spec = []
        given = dict(answers)
        for question in spec:
            name = question["variable"]
            if name in given:
                self._answer(question, given[name])
            elif question["required"]:
                raise Refused(f"'{name}' value missing")
            elif "default" in question:
                given[name] = question["default"]
        unknown = {*given} - {question["variable"] for question in spec}
        if unknown and not job.get("ask_variables_on_launch"):
            raise Refused(f"Variables {sorted(unknown)} are not allowed on launch")
        return given

    @staticmethod
    def _answer(question: Mapping[str, Any], answer: Any) -> None:
        right = isinstance(answer, ANSWERS[question["type"]]) and not isinstance(answer, bool)
        if right and question["type"] == "multiplechoice":
            right = answer in question["choices"]
        elif right:
            amount = len(answer) if isinstance(answer, str) else answer
            right = question["min"] <= amount <= question["max"]
        if not right:
            raise Refused(f"{question['variable']}: {answer!r}")

    def survey(self, number: int, spec: dict[str, Any]) -> None:
        """Set a survey, unless AWX would refuse it."""
        if not all(isinstance(spec.get(field), str) for field in ("name", "description")) or not spec.get("spec"):
            raise Refused("survey")
        for question in spec["spec"]:
            if not isinstance(question["required"], bool) or not question["question_name"]:
                raise Refused(str(question))
            if "default" in question:
                self._answer(question, question["default"])
        self.surveys[number] = spec


class Handler(BaseHTTPRequestHandler):
    """Answers for one Awx, which its class is given."""

    awx: Awx

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # as the base class names it
        """Say nothing."""

    def answer(self, status: int, body: Optional[Any] = None) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("X-API-Product-Name", "AWX")
        self.send_header("X-API-Product-Version", "24.6.1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def listed(self, found: list[Any]) -> None:
        self.answer(200, {"count": len(found), "next": None, "previous": None, "results": found})

    def parts(self) -> tuple[str, Optional[int], str]:
        path = urlsplit(self.path).path.removeprefix("/api/v2/").strip("/").split("/")
        return path[0], int(path[1]) if len(path) > 1 else None, path[2] if len(path) > 2 else ""

    def do_GET(self) -> None:
        collection, number, part = self.parts()
        if number is None:
            self.listed([*self.awx.find(collection, dict(parse_qsl(urlsplit(self.path).query)))])
        elif part == "survey_spec":
            self.answer(200, self.awx.surveys.get(number, {}))
        elif part:
            ids = self.awx.related.get((collection, number, part), [])
            self.listed([{"id": one} for one in ids])
        else:
            self.answer(200, self.awx.objects[collection][number])

    def do_POST(self) -> None:
        collection, number, part = self.parts()
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)) or b"{}")
        self.awx.writes.append(f"POST {self.path}")
        try:
            if number is None:
                self.awx.check(collection, sent)
                self.answer(201, self.awx.make(collection, **sent))
            elif part == "survey_spec":
                self.awx.survey(number, sent)
                self.answer(200, {})
            else:
                ids = self.awx.related.setdefault((collection, number, part), [])
                if sent.get("disassociate"):
                    ids.remove(sent["id"])
                else:
                    ids.append(sent["id"])
                self.answer(204)
        except Refused as error:
            self.answer(400, {"__all__": [str(error)]})

    def do_PATCH(self) -> None:
        collection, number, _part = self.parts()
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.awx.writes.append(f"PATCH {self.path}")
        found = self.awx.objects[collection][number or 0]
        try:
            self.awx.check(collection, {**found, **sent})
            found.update(sent)
            self.answer(200, found)
        except Refused as error:
            self.answer(400, {"__all__": [str(error)]})


class Server:
    """An Awx behind HTTP on loopback."""

    def __init__(self) -> None:
        self.awx = Awx()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"awx": self.awx}))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
