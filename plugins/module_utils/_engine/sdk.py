# SPDX-License-Identifier: GPL-3.0-or-later
"""The only code that talks to the Docker engine: a thin layer over the Docker SDK."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import io
import itertools
import json
import os
import queue
import sys
import tarfile
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from .._core.errors import DockerVpsError, EngineError, EngineForbidden, EngineRefused, EngineUnreachable
from .._core.health import ContainerSnapshot, asked_at, snapshot
from .._core.host import broken_sdk
from .._core.images import DOCKER_HUB, Login
from .._core.remedies import as_root
from .._core.secrets import Mask, secrets_of
from .._core.text import sentence

try:
    import docker
    from docker.errors import (
        APIError,
        DockerException,
        NotFound,
        TLSParameterError,
        create_api_error_from_http_exception,
    )
    from requests.exceptions import ConnectionError as RequestsConnectionError
    from requests.exceptions import HTTPError, RequestException
except ImportError as missing:
    SDK_MISSING: Optional[ImportError] = missing
else:
    SDK_MISSING = None

DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
APPLICATION_ANSWERS_WITHIN = 3.0  # seconds
ANSWER_WITHIN = 30  # seconds for one ordinary request
_ENDPOINT = ("IPAMConfig", "Links", "DriverOpts")  # what people configure of a place on a network
NOT_FOUND = 404
SLOW = 300  # seconds for what the engine has to count or remove first
STALLED = 900  # seconds for a piece of an image, which a busy disk may keep back
_MEBIBYTE = 1 << 20
_PIECES = 8  # of an archive, of 2 MiB each, that are read for its texts
PIECE = 64 * 1024  # bytes of a log that are read at once

HUB_ACCOUNT = "https://index.docker.io/v1/"  # what engines call Docker Hub in a login

T = TypeVar("T")


@dataclass(frozen=True)
class Address:
    """Where the engine listens; TLS files are paths on the host that runs the module."""

    url: str = DEFAULT_ADDRESS
    ca_path: Optional[str] = None
    cert_path: Optional[str] = None
    key_path: Optional[str] = None


def sdk_fault() -> str:
    """Return why the Docker SDK cannot reach any engine, with what it consists of; empty when it can or is missing.

    Its parts may come from several places and not go together: docker before 7.1 knows no requests from 2.32 on
    (https://github.com/docker/docker-py/issues/3256), and docker before 6.1 no urllib3 2. They fail before they look
    for the engine, hence a socket that is not there shows it.
    """
    if SDK_MISSING:
        found = None if SDK_MISSING.name == "docker" else importlib.util.find_spec("docker")
        return f"docker in {os.path.dirname(os.path.dirname(found.origin or ''))}: {SDK_MISSING}" if found else ""
    try:
        docker.APIClient(base_url="unix:///dev/null/none", version="1.41", timeout=1).ping()
    except (ConnectionError, RequestsConnectionError):
        return ""
    except Exception as error:  # of whatever does not go together
        parts = [sys.modules[name] for name in ("docker", "requests", "urllib3")]
        return f"{', '.join(map(_part, parts))}: {error}"
    return ""


def _part(package: Any) -> str:
    return f"{package.__name__} {package.__version__} in {os.path.dirname(os.path.dirname(package.__file__))}"


class SystemClock:
    """The machine's clocks: monotonic seconds, and the calendar."""

    def now(self) -> float:
        """Return the time."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

    def utc(self) -> datetime:
        """Return the time of the calendar (UTC)."""
        return datetime.now(timezone.utc)


class EventFeed:
    """Events of some containers, read by a thread so that waiting can have a deadline."""

    def __init__(self, stream: Any, names: Sequence[str]) -> None:
        self._stream, self._names = stream, set(names)
        self._out_of_memory: set[str] = set()
        self._news: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def begin(self) -> EventFeed:
        """Begin to read, and return self."""
        threading.Thread(name="engine events", target=self._read, daemon=True).start()
        return self

    def _read(self) -> None:
        try:
            for event in self._stream:
                actor = event.get("Actor") or {}
                ours = self._names & {(actor.get("Attributes") or {}).get("name"), actor.get("ID")}
                if ours and event.get("Action") == "oom":
                    self._out_of_memory |= ours
                if ours:
                    self._news.put(True)
        except (RequestException, DockerException, OSError, ValueError, AttributeError):
            pass  # the stream broke or was closed under us: the same end of news either way
        self._news.put(False)

    def wait(self, seconds: float) -> bool:
        """Return True at the next event, False after ``seconds``.

        Raises:
            EngineUnreachable: the engine closed the stream.
        """
        try:
            alive = self._news.get(timeout=max(seconds, 0))
        except queue.Empty:
            return False
        if not alive:
            raise EngineUnreachable("the Docker engine ended its stream of events")
        return True

    def ran_out_of_memory(self, name: str) -> bool:
        """Whether that was among the events of a container."""
        return name in self._out_of_memory

    def close(self) -> None:
        """Close the stream; the thread ends with it."""
        # The SDK reaches into the response for its socket, and stumbles when that breaks meanwhile.
        with contextlib.suppress(DockerException, OSError, AttributeError):
            self._stream.close()


class Engine:
    """A Docker engine. Every failure is an EngineError with one clear sentence."""

    _api: docker.APIClient  # from ``connect`` on

    def __init__(self, address: Address) -> None:
        self._address = address

    @classmethod
    def connect(cls, address: Address, within: int = ANSWER_WITHIN) -> Engine:
        """Reach the engine at an address, which has so many seconds for each ordinary answer.

        Raises:
            DockerVpsError: this Python has no Docker SDK, or no engine answers.
        """
        if SDK_MISSING:
            raise DockerVpsError(
                f"{sys.executable} has no Docker SDK ({SDK_MISSING}), without which nothing here reaches the engine. "
                "Install it; on Debian and Ubuntu: apt-get install python3-docker."
            )
        engine, tls = cls(address), _tls(address)
        try:
            engine._api = engine._asked(
                lambda: docker.APIClient(base_url=address.url, tls=tls, version="auto", timeout=within)
            )
        except EngineUnreachable as error:
            fault = sdk_fault()
            if fault:
                raise DockerVpsError(broken_sdk(sys.executable, fault)) from error
            raise
        return engine

    def info(self) -> Mapping[str, Any]:
        """Return the engine's facts: memory, storage directory, time."""
        facts: Mapping[str, Any] = self._asked(self._api.info)
        return facts

    def container(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return what the engine knows about a container, or None."""
        return self._or_none(lambda: self._api.inspect_container(name))

    def volume(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return what the engine knows about a volume, or None."""
        return self._or_none(lambda: self._api.inspect_volume(name))

    def all_volumes(self) -> list[Mapping[str, Any]]:
        """Return what the engine knows about all volumes."""
        found: Optional[list[Mapping[str, Any]]] = self._asked(self._api.volumes)["Volumes"]
        return found or []

    def all_containers(self) -> list[Mapping[str, Any]]:
        """Return all containers in short, also stopped ones, with their mounts."""
        found: list[Mapping[str, Any]] = self._asked(lambda: self._api.containers(all=True))
        return found

    def pause(self, container: str) -> None:
        """Freeze a container."""
        self._asked(lambda: self._api.pause(container))

    def unpause(self, container: str) -> None:
        """Let a frozen container go on."""
        self._asked(lambda: self._api.unpause(container))

    def start(self, container: str) -> None:
        """Start a container; nothing happens when it runs."""
        self._asked(lambda: self._api.start(container))

    def stop(self, container: str) -> None:
        """Stop a container within the grace period that it was created with, or 10 seconds."""
        inspected = self.container(container) or {}
        grace = (inspected.get("Config") or {}).get("StopTimeout")
        self._asked(lambda: self._api.stop(container, timeout=10 if grace is None else grace))

    def restart(self, container: str) -> None:
        """Stop a container as ``stop`` does, if it runs, and start it; the engine does both, whatever becomes of us."""
        inspected = self.container(container) or {}
        grace = (inspected.get("Config") or {}).get("StopTimeout")
        self._asked(lambda: self._api.restart(container, timeout=10 if grace is None else grace))

    def rename(self, container: str, name: str) -> None:
        """Give a container another name; on its networks it is found under that one from then on."""
        self._asked(lambda: self._api.rename(container, name))

    def remove_container(self, container: str) -> None:
        """Remove a container, also a running one, with its unnamed volumes; nothing happens when there is none."""
        self._gone(self._api.remove_container, container, force=True, v=True)

    def recreate(self, container: str, name: str, labels: Mapping[str, str], aliases: Sequence[str]) -> str:
        """Put a container that never ran instead of another one that never ran, and return its id.

        Everything is as it was but its name, these labels, and that its networks know it by no further names than
        these; Compose gives each container its own name as an alias, which would stay with it when it is renamed.
        """
        made = self._asked(lambda: self._api.inspect_container(container))
        config = dict(made["Config"])
        if config.get("Hostname") == made["Id"][:12]:
            del config["Hostname"]  # the engine's own choice
        config["Labels"] = {**(config.get("Labels") or {}), **labels}
        config["HostConfig"] = made["HostConfig"]
        networks = {
            network: {**{key: was[key] for key in _ENDPOINT if was.get(key)}, "Aliases": list(aliases)}
            for network, was in made["NetworkSettings"]["Networks"].items()
        }
        first = dict(list(networks.items())[:1])  # engines before 25.0 take one at the creation
        config["NetworkingConfig"] = {"EndpointsConfig": first}
        self.remove_container(container)
        create = self._api.create_container_from_config
        recreated = str(self._asked(lambda: create(config, name))["Id"])  # type: ignore[no-untyped-call]
        for network in networks:
            if network not in first:
                self._connect(recreated, network, networks[network])
        return recreated

    def _connect(self, container: str, network: str, endpoint: Mapping[str, Any]) -> None:
        addresses = endpoint.get("IPAMConfig") or {}
        self._asked(
            lambda: self._api.connect_container_to_network(
                container,
                network,
                aliases=endpoint["Aliases"],
                links=[tuple(link.split(":")) for link in endpoint.get("Links") or ()],
                ipv4_address=addresses.get("IPv4Address"),
                ipv6_address=addresses.get("IPv6Address"),
                driver_opt=endpoint.get("DriverOpts"),
            )
        )

    def begin(self, container: str, command: Sequence[str]) -> str:
        """Begin to run a command in a container and return the id by which to ask how it ended."""
        begun = self._asked(lambda: self._api.exec_create(container, list(command), stdout=False, stderr=False))
        self._asked(lambda: self._api.exec_start(begun["Id"], detach=True))
        return str(begun["Id"])

    def ended(self, command: str) -> Optional[int]:
        """Return with which code a command in a container ended, None while it runs."""
        facts = self._asked(lambda: self._api.exec_inspect(command))
        return None if facts["Running"] else facts["ExitCode"]

    def remove_image(self, name: str) -> None:
        """Remove a name of an image, and with its last name the image; nothing happens when there is none.

        By its id, which is for one without a tag, it goes with all digests.
        """
        self._gone(self._api.remove_image, name, force=name.startswith("sha256:"))

    def create_volume(
        self, name: str, driver: str, labels: Mapping[str, str], options: Optional[Mapping[str, str]] = None
    ) -> None:
        """Create a volume, with options of its driver; nothing happens when it is there."""
        given = dict(options) if options else None
        self._asked(lambda: self._api.create_volume(name, driver=driver, driver_opts=given, labels=dict(labels)))

    def remove_volume(self, name: str) -> None:
        """Remove a volume that no container uses."""
        self._asked(lambda: self._api.remove_volume(name))

    def network(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return what the engine knows about the network of exactly this name, or None."""
        # Inspecting by name would also accept the beginning of an id.
        found = self._asked(lambda: self._api.networks(names=[name]))
        return next((network for network in found if network["Name"] == name), None)

    def has_network(self, network_id: str) -> bool:
        """Return whether there is the network of an id."""
        return self._or_none(lambda: self._api.inspect_network(network_id)) is not None

    def images_of(self, repository: str) -> list[Mapping[str, Any]]:
        """Return the images of a name in short, also those that have no tag any more."""
        found: list[Mapping[str, Any]] = self._asked(lambda: self._api.images(name=repository))
        return found

    def tags(self, repository: str) -> list[str]:
        """Return the images of a name, as name:tag; the newest first, and of one image in alphabetical order."""
        images = sorted(self.images_of(repository), key=lambda image: image.get("Created") or 0, reverse=True)
        return [
            tag for image in images for tag in sorted(image.get("RepoTags") or ()) if tag.startswith(repository + ":")
        ]

    def logs(self, name: str, lines: int) -> list[str]:
        """Return the last lines a container wrote, or none when they cannot be read; 0 is all."""
        try:
            raw = self._asked(lambda: self._api.logs(name, tail=lines or "all", stdout=True, stderr=True))
        except EngineError:
            return []
        return [line.rstrip() for line in raw.decode("utf-8", "replace").splitlines()]

    def look(self, name: str) -> ContainerSnapshot:
        """Return the container as it is now."""
        return snapshot(name, self.container(name))

    def answer_of(self, name: str) -> str:
        """Return what an application says to its health check: status and the beginning of the body, without secrets.

        It is asked from this host, past any proxy; empty when it is not here, or does not answer.
        """
        inspected = (self.container(name) if self._address.url.startswith("unix:") else None) or {}
        place = urlsplit(asked_at(inspected))
        if not place.hostname:
            return ""
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=APPLICATION_ANSWERS_WITHIN)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", urlunsplit(("", "", place.path or "/", place.query, "")))
            response = connection.getresponse()
            text = response.read1(PIECE).decode("utf-8", "replace")
            environment = dict(pair.partition("=")[::2] for pair in inspected["Config"].get("Env") or ())
            answer = f"{response.status}: {text}" if text.strip() else f"{response.status} without a body"
            return Mask(secrets_of(environment))(answer)
        return ""

    def listen(self, names: Sequence[str]) -> EventFeed:
        """Begin to listen to events of the containers."""
        # The engine answers a moment before it subscribes us; asking for the last second too
        # closes that gap, and an old event costs only one look more.
        since = int(time.time()) - 1
        stream = self._asked(lambda: self._api.events(since=since, decode=True, filters={"type": "container"}))
        return EventFeed(stream, names).begin()

    def last_events(self, container: str) -> list[str]:
        """Return what the engine remembers of a container since that was started last, such as die, stop.

        It remembers the last 256 events of all containers, and none from before its own start.
        """
        chosen = {"type": "container", "container": container}
        until = int(time.time()) + 1
        stream = self._asked(lambda: self._api.events(since=1, until=until, decode=True, filters=chosen))
        actions = self._asked(lambda: [str(event.get("Action", "")) for event in stream])
        begun = [number for number, action in enumerate(actions) if action == "start"]
        return actions[begun[-1] + 1 :] if begun else actions

    def unnamed_images(self) -> list[int]:
        """Return the sizes of the images without a name, in bytes; what they share is counted in each."""
        found: list[Mapping[str, Any]] = self._asked(lambda: self._api.images(filters={"dangling": True}))
        return [int(image.get("Size") or 0) for image in found]

    def unnamed(self) -> list[Mapping[str, Any]]:
        """Return the images without a name in short, with what each shares with others as SharedSize."""
        chosen = {"filters": json.dumps({"dangling": ["true"]}), "shared-size": "1"}
        found: list[Mapping[str, Any]] = self._slowly("get", "images/json", chosen)
        return found

    def remove_unnamed(self, image: str) -> None:
        """Remove an image without a name, and none that it is based on; nothing happens when it is gone.

        Raises:
            EngineRefused: a container or another image needs it.
        """
        inspected = self.image(image) or {}
        for name in (inspected.get("RepoDigests") or ())[1:]:  # or it would have to be forced, also against containers
            self._gone(self._api.remove_image, name, noprune=True)
        self._gone(self._api.remove_image, image, noprune=True)

    def build_cache(self, within: float = SLOW) -> list[Mapping[str, Any]]:
        """Return the pieces of the build cache, which may take so many seconds; volumes are not walked for that."""
        found: Mapping[str, Any] = self._slowly("get", "system/df", {"type": "build-cache"}, within)
        return found.get("BuildCache") or []

    def prune_build_cache(self, before: int) -> None:
        """Remove build cache that was last used before a time (Unix).

        The bytes that the engine then says it has reclaimed include those that images go on using.
        """
        chosen = {"all": "true", "filters": json.dumps({"until": [str(before)]})}
        self._slowly("post", "build/prune", chosen)

    def _slowly(self, how: str, path: str, query: Mapping[str, str], within: float = SLOW) -> Any:
        """Ask for what the SDK has no function for, and what an engine may take long to answer."""
        api = self._api
        url = f"{api.base_url}/v{api.api_version}/{path}"
        answer = self._asked(lambda: getattr(api, how)(url, params=dict(query), timeout=within))
        self._asked(lambda: _right(answer))
        return answer.json()

    def image(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return what the engine knows about an image, by its name or id, or None."""
        return self._or_none(lambda: self._api.inspect_image(name))  # type: ignore[no-untyped-call]

    def image_ids(self) -> list[str]:
        """Return the ids of all images, also of those without a name."""
        found: list[Mapping[str, Any]] = self._asked(lambda: self._api.images(all=True))
        return list(dict.fromkeys(str(image["Id"]) for image in found))

    def save(self, name: str) -> Iterator[bytes]:
        """Yield an image as an archive; see _core/image_layout.py.

        Raises:
            EngineError: there is no such image, or the engine breaks off.
        """
        return self._pieces(lambda: self._patient().get_image(name, chunk_size=_MEBIBYTE))

    def export(self, container: str) -> Iterator[bytes]:
        """Yield the files of a container, which need not run, as an archive.

        Raises:
            EngineError: there is no such container, or the engine breaks off.
        """
        return self._pieces(lambda: self._patient().export(container, chunk_size=_MEBIBYTE))

    def _pieces(self, begin: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
        pieces = self._asked(begin)
        while True:
            piece: Optional[bytes] = self._asked(lambda: next(pieces, None))
            if piece is None:
                return
            yield piece

    def load(self, archive: Iterator[bytes]) -> None:
        """Load an archive of images; what the iterator raises ends it.

        Raises:
            EngineError: the engine refuses it, or breaks off.
        """
        # An empty piece ends the body for requests before 2.29, as in Debian 12, and the engine closes the connection.
        pieces = (piece for piece in archive if piece)

        def loaded() -> None:
            for news in self._patient().load_image(pieces):  # type: ignore[no-untyped-call]
                if news.get("error"):
                    raise EngineError(f"The Docker engine refused the image: {sentence(str(news['error']).strip())}")

        self._asked(loaded)

    def _patient(self) -> docker.APIClient:
        """Return a client that bears the silence in which an engine writes or reads an image."""
        address = self._address
        return self._asked(
            lambda: docker.APIClient(
                base_url=address.url, tls=_tls(address), version=self._api.api_version, timeout=STALLED
            )
        )

    def registry_digest(self, reference: str, login: Login) -> str:
        """Return the digest that a reference has in its registry now; nothing is pulled.

        Raises:
            EngineRefused: with the registry's status 401, 403 or 404, or 500 when it does not answer the engine.
        """
        return str(self._distribution(reference, login)["Descriptor"]["digest"])

    def registry_platforms(self, reference: str, login: Login) -> list[str]:
        """Return the platforms, such as linux/amd64, for which a registry has an image.

        Raises:
            EngineRefused: as registry_digest does.
        """
        platforms = self._distribution(reference, login).get("Platforms") or ()
        return [f"{platform.get('os')}/{platform.get('architecture')}" for platform in platforms]

    def _distribution(self, reference: str, login: Login) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._asked(
            lambda: self._api.inspect_distribution(reference, _auth(login))  # type: ignore[no-untyped-call]
        )
        return found

    def pull(self, repository: str, digest: str, login: Login) -> None:
        """Pull an image by its digest.

        Raises:
            EngineRefused: the engine cannot.
        """
        self._followed(
            lambda: self._api.pull(repository, tag=digest, stream=True, decode=True, auth_config=_auth(login))
        )

    def push(self, repository: str, tag: str, login: Login) -> None:
        """Push an image that has this name to the registry in it.

        Raises:
            EngineRefused: the engine cannot, or the registry does not take it.
        """
        self._followed(
            lambda: self._patient().push(repository, tag=tag, stream=True, decode=True, auth_config=_auth(login))
        )

    def _followed(self, begin: Callable[[], Any]) -> None:
        """Begin something, and read the engine's news of it to the end.

        Raises:
            EngineRefused: it fails.
        """
        news = self._asked(begin)
        while True:
            event = self._asked(lambda: next(news, None))
            if event is None:
                return
            if event.get("error"):
                raise _refused(str((event.get("errorDetail") or {}).get("message") or event["error"]), 0)

    def tag(self, image: str, repository: str, tag: str) -> None:
        """Give an image one more name."""
        self._asked(lambda: self._api.tag(image, repository, tag))

    def create_network(self, name: str, labels: Mapping[str, str], internal: bool) -> None:
        """Create a network; from an internal one nothing outside can be reached."""
        self._asked(lambda: self._api.create_network(name, driver="bridge", internal=internal, labels=dict(labels)))

    def create_container(self, name: str, config: Mapping[str, Any]) -> None:
        """Create a container, configured as the engine's API wants it (ContainerCreate)."""
        create = self._api.create_container_from_config
        self._asked(lambda: create(dict(config), name))  # type: ignore[no-untyped-call]

    def remove_labelled(self, label: str) -> None:
        """Remove the containers, with their unnamed volumes, the networks and the volumes that bear a label."""
        api, chosen = self._api, {"label": label}
        for container in self._asked(lambda: api.containers(all=True, filters=chosen)):
            self._gone(api.remove_container, container["Id"], force=True, v=True)
        for network in self._asked(lambda: api.networks(filters=chosen)):
            self._gone(api.remove_network, network["Id"])
        for volume in self._asked(lambda: api.volumes(filters=chosen))["Volumes"] or ():
            self._gone(api.remove_volume, volume["Name"])

    def text(self, container: str, path: str) -> str:
        """Return a text file of a container, which need not run; empty when there is none."""

        def packed() -> Mapping[str, Any]:
            stream, _facts = self._api.get_archive(container, path)
            return {"tar": b"".join(stream)}

        found = self._or_none(packed)
        if found is None:
            return ""
        with tarfile.open(fileobj=io.BytesIO(found["tar"])) as tar:
            member = tar.next()
            file = tar.extractfile(member) if member and member.isfile() else None
            return file.read().decode("utf-8", "replace") if file else ""

    def texts(self, container: str, path: str) -> str:
        """Return the text of all small files below a directory of a container; empty when there is none."""

        def packed() -> Mapping[str, Any]:
            stream, _facts = self._api.get_archive(container, path)
            return {"tar": b"".join(itertools.islice(stream, _PIECES))}

        found = self._or_none(packed)
        texts = []
        packed_files = io.BytesIO(found["tar"] if found else b"")
        with contextlib.suppress(tarfile.TarError), tarfile.open(fileobj=packed_files) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() and member.size <= _MEBIBYTE else None
                texts += [file.read().decode("utf-8", "replace")] if file else []
        return "\n".join(texts)

    def has(self, container: str, path: str) -> bool:
        """Return whether there is something at a path of a container, which need not run."""
        api = self._api
        url = f"{api.base_url}/v{api.api_version}/containers/{quote(container, safe='')}/archive"
        answer = self._asked(lambda: api.head(url, params={"path": path}, timeout=ANSWER_WITHIN))
        if answer.status_code != NOT_FOUND:
            self._asked(lambda: _right(answer))
        return bool(answer.ok)

    def log(self, name: str, tail: int, since: str = "", until: str = "") -> Iterator[bytes]:
        """Yield what a container wrote, with times, in pieces as the engine sends it; see _core/logs.py.

        Args:
            tail: only so many of the last entries; 0 is all.
            since: Unix seconds as a string, with up to nine digits behind the point; empty is from the beginning.
            until: likewise; empty is up to now.
        """
        api = self._api
        # The SDK's own function drops the streams, and rounds times to microseconds.
        url = f"{api.base_url}/v{api.api_version}/containers/{quote(name, safe='')}/logs"
        query = {"stdout": 1, "stderr": 1, "timestamps": 1, "tail": tail or "all", "since": since, "until": until}
        answer = self._asked(lambda: api.get(url, params=query, stream=True, timeout=ANSWER_WITHIN))
        with contextlib.closing(answer):
            self._asked(lambda: _right(answer))
            pieces = answer.iter_content(PIECE)
            while True:
                piece = self._asked(lambda: next(pieces, None))
                if piece is None:
                    return
                yield piece

    def _gone(self, remove: Callable[..., object], name: str, **how: bool) -> None:
        """Remove something that may be gone already."""

        def ask() -> None:
            with contextlib.suppress(NotFound):
                remove(name, **how)

        self._asked(ask)

    def _or_none(self, ask: Callable[[], Mapping[str, Any]]) -> Optional[Mapping[str, Any]]:
        def found() -> Optional[Mapping[str, Any]]:
            try:
                return ask()
            except NotFound:
                return None

        return self._asked(found)

    def _asked(self, ask: Callable[[], T]) -> T:
        """Return the engine's answer, with its failures as ours."""
        try:
            return ask()
        except APIError as error:
            raise _refused(str(error.explanation or error), error.status_code or 0) from error
        except (RequestException, DockerException, OSError) as error:
            raise self._connection_error(error) from error

    def _connection_error(self, error: BaseException) -> EngineError:
        causes = list(_chain(error))
        where = self._address.url
        if any(isinstance(cause, PermissionError) for cause in causes):
            return EngineForbidden(
                f"Permission denied at the Docker engine's address {where}. "
                f"Run {as_root()}, or add the user to the group docker."
            )
        if any(isinstance(cause, FileNotFoundError) for cause in causes):
            detail = "there is no such socket"
        elif any(isinstance(cause, ConnectionRefusedError) for cause in causes):
            detail = "nothing listens there"
        else:
            detail = str(error)
        return EngineUnreachable(
            f"No Docker engine answers at {where}: {detail}. Is it installed and running (systemctl status docker)?"
        )


def _auth(login: Login) -> Optional[dict[str, str]]:
    """Return a login as the SDK wants it; None has it look for one of ``docker login`` on this host."""
    if not login.username:
        return None
    server = HUB_ACCOUNT if login.registry == DOCKER_HUB else login.registry
    return {"username": login.username, "password": login.password, "serveraddress": server}


def _refused(why: str, status: int) -> EngineRefused:
    return EngineRefused(f"The Docker engine refused: {why}.", why, status)


def _right(answer: Any) -> None:
    """Raise what the engine refused, in the SDK's way."""
    try:
        answer.raise_for_status()
    except HTTPError as error:
        create_api_error_from_http_exception(error)


def _tls(address: Address) -> Any:
    if not (address.ca_path or address.cert_path):
        return False
    pair = (address.cert_path, address.key_path) if address.cert_path and address.key_path else None
    try:
        return docker.tls.TLSConfig(ca_cert=address.ca_path, client_cert=pair, verify=True)
    except TLSParameterError as error:
        raise EngineError(
            f"The TLS files for the Docker engine at {address.url} cannot be used: "
            "ca_path, client_cert and client_key must name files on the managed host."
        ) from error


def _chain(error: Optional[BaseException]) -> Iterator[BaseException]:
    """Yield an exception and everything it was caused by or wraps."""
    seen: set[int] = set()
    todo = [error]
    while todo:
        current = todo.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        todo += [current.__cause__, current.__context__]
        todo += [inner for inner in current.args if isinstance(inner, BaseException)]
        reason = getattr(current, "reason", None)
        todo += [reason] if isinstance(reason, BaseException) else []
