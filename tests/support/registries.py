# SPDX-License-Identifier: GPL-3.0-or-later
"""A real registry on this machine's loopback, from Debian's package, and how images get there."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import Iterator

from lab import docker, image_of, run, until

USER, PASSWORD = "deploy", "open-sesame-29"


@dataclass(frozen=True)
class Registry:
    """A registry, named as its container; it listens on a port, and on the next one with a login."""

    server: str
    port: int

    @property
    def open(self) -> str:
        """Its address that wants no login."""
        return f"localhost:{self.port}"

    @property
    def guarded(self) -> str:
        """Its address that wants a login."""
        return f"localhost:{self.port + 1}"

    def build(self) -> None:
        """Make its image."""
        run("docker", "build", "--quiet", "--tag", self.server, "-", input=self._dockerfile())

    def _dockerfile(self) -> str:
        return f"""FROM {image_of("base_image.sh")}
RUN apt-get update -q && apt-get install -q -y --no-install-recommends apache2-utils docker-registry
COPY <<SETTINGS /open.yml
version: 0.1
storage:
  filesystem:
    rootdirectory: /srv
http:
  addr: 0.0.0.0:{self.port}
SETTINGS
RUN sed s/{self.port}/{self.port + 1}/ /open.yml >/guarded.yml && \
    echo 'auth: {{htpasswd: {{realm: it, path: /users}}}}' >>/guarded.yml
RUN htpasswd -Bbn {USER} {PASSWORD} >/users
CMD docker-registry serve /open.yml & exec docker-registry serve /guarded.yml
"""

    def answers(self, *engine: str) -> None:
        """Wait until it does."""
        ask = ("docker", *engine, "exec", self.server, "wget", "-q", "-O-", f"http://127.0.0.1:{self.port}/v2/")
        until(lambda: not run(*ask, check=False).returncode, 10, "an answer")

    def forget(self) -> None:
        """Remove what a test that failed has left of its names."""
        for pattern in (f"{self.open}/acme/*", f"{self.guarded}/acme/*"):
            for image in docker("images", "--all", "--quiet", pattern).split():
                docker("rmi", "--force", image, check=False)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Have it run."""
        docker("rm", "--force", self.server, check=False)
        self.forget()
        self.build()
        published = [f"--publish=127.0.0.1:{port}:{port}" for port in (self.port, self.port + 1)]
        docker("run", "--detach", "--name", self.server, *published, self.server)
        self.answers()
        try:
            yield
        finally:
            docker("rm", "--force", "--volumes", self.server)
            docker("rmi", self.server)
            self.forget()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Have it stopped for a while."""
        docker("stop", "--time=1", self.server)
        try:
            yield
        finally:
            docker("start", self.server)
            self.answers()


def push(reference: str, base: str, line: str, *engine: str) -> None:
    """Push a variant of an image and forget it here."""
    run("docker", *engine, "build", "--quiet", "--tag", reference, "-", input=f"FROM {base}\n{line}\n")
    run("docker", *engine, "push", reference)
    run("docker", *engine, "rmi", reference)
