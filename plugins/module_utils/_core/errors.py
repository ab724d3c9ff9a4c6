# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error family of the collection."""

from __future__ import annotations


class DockerVpsError(Exception):
    """A failure that a person can act on.

    The message is one clear sentence: the object, what was expected, what was found and
    the next step. Evidence (log lines, findings) travels beside it as data.
    """

    def __init__(self, message: str, **evidence: object) -> None:
        super().__init__(message)
        self.message = message
        self.evidence = evidence


class InvalidInput(DockerVpsError):
    """What the user asked for cannot be right."""


class EngineError(DockerVpsError):
    """The Docker engine did not do what was asked."""


class EngineUnreachable(EngineError):
    """No engine answers at the address."""


class EngineForbidden(EngineError):
    """The engine's socket may not be used by this user."""
