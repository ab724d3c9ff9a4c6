# SPDX-License-Identifier: GPL-3.0-or-later
"""What the procedures ask of a Docker engine; sdk.Engine answers it, and in tests a fake."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Protocol, Sequence

from .._core.health_wait import Watched


class EnginePort(Watched, Protocol):
    """An engine, as far as backups and releases need one."""

    def info(self) -> Mapping[str, Any]:
        """Return facts about the engine."""
        raise NotImplementedError

    def volume(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return a volume."""
        raise NotImplementedError

    def all_volumes(self) -> Sequence[Mapping[str, Any]]:
        """Return all volumes."""
        raise NotImplementedError

    def create_volume(
        self, name: str, driver: str, labels: Mapping[str, str], options: Optional[Mapping[str, str]] = None
    ) -> None:
        """Create a volume."""
        raise NotImplementedError

    def remove_volume(self, name: str) -> None:
        """Remove a volume."""
        raise NotImplementedError

    def container(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return what the engine knows about a container."""
        raise NotImplementedError

    def all_containers(self) -> Sequence[Mapping[str, Any]]:
        """Return all containers in short, with their mounts."""
        raise NotImplementedError

    def create_container(self, name: str, config: Mapping[str, Any]) -> None:
        """Create a container."""
        raise NotImplementedError

    def start(self, container: str) -> None:
        """Start one."""
        raise NotImplementedError

    def stop(self, container: str) -> None:
        """Stop one."""
        raise NotImplementedError

    def pause(self, container: str) -> None:
        """Freeze one."""
        raise NotImplementedError

    def unpause(self, container: str) -> None:
        """Let a frozen one go on."""
        raise NotImplementedError

    def rename(self, container: str, name: str) -> None:
        """Give a container another name."""
        raise NotImplementedError

    def recreate(self, container: str, name: str, labels: Mapping[str, str], aliases: Sequence[str]) -> str:
        """Put a container that is known by nothing but its name instead of another one that never ran."""
        raise NotImplementedError

    def remove_container(self, container: str) -> None:
        """Remove a container, also a running one."""
        raise NotImplementedError

    def begin(self, container: str, command: Sequence[str]) -> str:
        """Begin to run a command in a container."""
        raise NotImplementedError

    def ended(self, command: str) -> Optional[int]:
        """Return with which code it ended, None while it runs."""
        raise NotImplementedError

    def logs(self, name: str, lines: int) -> Sequence[str]:
        """Return the last lines a container wrote."""
        raise NotImplementedError

    def text(self, container: str, path: str) -> str:
        """Return a text file of a container."""
        raise NotImplementedError

    def has(self, container: str, path: str) -> bool:
        """Return whether there is something at a path of a container."""
        raise NotImplementedError

    def has_network(self, network_id: str) -> bool:
        """Return whether there is the network of an id."""
        raise NotImplementedError

    def image(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return an image."""
        raise NotImplementedError

    def images_of(self, repository: str) -> Sequence[Mapping[str, Any]]:
        """Return the images of a name in short."""
        raise NotImplementedError

    def remove_image(self, name: str) -> None:
        """Remove a name of an image."""
        raise NotImplementedError

    def create_network(self, name: str, labels: Mapping[str, str], internal: bool) -> None:
        """Create a network."""
        raise NotImplementedError

    def remove_labelled(self, label: str) -> None:
        """Remove the containers, networks and volumes with a label."""
        raise NotImplementedError
