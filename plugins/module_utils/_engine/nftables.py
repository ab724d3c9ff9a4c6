# SPDX-License-Identifier: GPL-3.0-or-later
"""nftables of the host, of which one table is ours; and ufw, where that rules."""

from __future__ import annotations

import json
import os
import re
import shutil
from typing import Any, Mapping

from .._core.errors import DockerVpsError
from .._core.firewall import MARK, TABLE
from .compose import run

NFT = "/usr/sbin/nft"
WITHIN = 60.0  # seconds for one command
_ALONE = f"nft --file - && nft list table inet {TABLE}"


class Nftables:
    """The command nft."""

    def exists(self) -> bool:
        """Return whether it is installed."""
        return shutil.which("nft", path=_path()) is not None

    def listing(self) -> str:
        """Return what our table has, empty when it is not there.

        Raises:
            DockerVpsError: nft cannot tell.
        """
        tables = [entry.get("table", {}) for entry in _listed("tables")]
        if not any((table.get("family"), table.get("name")) == ("inet", TABLE) for table in tables):
            return ""
        return _run("nft", "list", "table", "inet", TABLE)

    def rendered(self, text: str) -> str:
        """Return what our table would have after a transaction, which is tried in an empty network namespace.

        Raises:
            DockerVpsError: nft or the kernel refuses it.
        """
        try:
            return _run("unshare", "--net", "sh", "-c", _ALONE, given=text)
        except DockerVpsError as error:
            raise DockerVpsError(
                "This host does not take the rules of the firewall, and nothing was changed. It needs nft 1.0 and a "
                f"kernel with nf_tables and connection tracking. {error.message}"
            ) from error

    def ruleset(self) -> list[Mapping[str, Any]]:
        """Return what all tables have, in the JSON of nft.

        Raises:
            DockerVpsError: nft cannot tell.
        """
        return _listed("ruleset")

    def load(self, text: str) -> None:
        """Carry a transaction out.

        Raises:
            DockerVpsError: nft or the kernel refuses it; then nothing of it is done.
        """
        _run("nft", "--file", "-", given=text)


class Ufw:
    """ufw with its directory of configuration."""

    def __init__(self, place: str = "/etc/ufw") -> None:
        self._place = place

    def rules_here(self) -> bool:
        """Return whether it is installed and switched on."""
        installed = shutil.which("ufw", path=_path()) is not None
        return installed and re.search(r"(?m)^ENABLED=[\"']?yes\b", self._read("ufw.conf")) is not None

    def rules(self) -> str:
        """Return the file of the rules that people have given; empty when there is none."""
        return self._read("user.rules")

    def _read(self, name: str) -> str:
        try:
            with open(os.path.join(self._place, name), encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def allow(self, protocol: str, port: int) -> None:
        """Let a port in.

        Raises:
            DockerVpsError: ufw refuses.
        """
        _run("ufw", "allow", f"{port}/{protocol}", "comment", MARK)

    def delete(self, protocol: str, port: int) -> None:
        """Take a rule away that lets a port in.

        Raises:
            DockerVpsError: ufw refuses.
        """
        _run("ufw", "delete", "allow", f"{port}/{protocol}")


def _listed(what: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = json.loads(_run("nft", "--json", "list", what))["nftables"]
    return found


def _path() -> str:
    """Return where commands are, also those that the PATH of a session may not have."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def _run(*command: str, given: str = "") -> str:
    return run(command, WITHIN, {**os.environ, "LC_ALL": "C", "PATH": _path()}, given)
