# SPDX-License-Identifier: GPL-3.0-or-later
"""The adapter on the Docker SDK, against an engine that speaks real HTTP on a socket."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import os
import socket
import sys
import tarfile
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Callable, Iterator
from urllib.parse import urlsplit

import docker
import pytest
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.errors import (
    DockerVpsError,
    EngineError,
    EngineForbidden,
    EngineRefused,
    EngineUnreachable,
)
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health import HealthRules, Reason, WantedHealth
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.health_wait import Wait
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._core.images import Login
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine import sdk
from ansible_collections.ptnextjs.docker_vps.plugins.module_utils._engine.sdk import (
    Address,
    Engine,
    EventFeed,
    SystemClock,
)
from ansible_collections.ptnextjs.docker_vps.tests.unit.engine_server import DROP, END, VERSION, EngineServer, frame
from ansible_collections.ptnextjs.docker_vps.tests.unit.fakes import inspected
from docker.errors import DockerException
from requests.exceptions import RequestException

ServeEngine = Callable[..., EngineServer]
LONG = 10  # seconds that are never waited: something happens before
REFUSED = (500, {"message": "the disk is on fire"})


def engine_of(server: EngineServer) -> Engine:
    return Engine.connect(Address(server.url))


def event(name: str = "app", key: str = "5b2b24f90fbe") -> dict[str, Any]:
    return {"Type": "container", "Action": "die", "Actor": {"ID": key, "Attributes": {"name": name}}}


def test_what_there_is(serve_engine: ServeEngine) -> None:
    raw = inspected("healthy")
    server = serve_engine(
        {
            "/info": (200, {"ServerVersion": "26.1.5"}),
            "/containers/app/json": (200, raw),
            "/volumes/data": (200, {"Name": "data"}),
            "/networks": (200, [{"Name": "proxy-2"}, {"Name": "proxy"}]),
        }
    )
    engine = engine_of(server)
    assert engine.info() == {"ServerVersion": "26.1.5"}
    assert engine.container("app") == raw
    assert engine.volume("data") == {"Name": "data"}
    assert engine.network("proxy") == {"Name": "proxy"}
    assert (engine.look("app").name, engine.look("app").health) == ("app", "healthy")


def test_what_an_application_answers_to_its_health_check(serve_engine: ServeEngine, tmp_path: Path) -> None:
    application = EngineServer({"/api/health": (503, b"no database, token tok-sesame-4711"), "/silent": (500, b" \n")})
    port = urlsplit(application.url).port
    there = {
        "Config": {
            "Healthcheck": {"Test": ["CMD", "wget", f"http://localhost:{port}/api/health?deep=1"]},
            "Env": ["API_TOKEN=tok-sesame-4711"],
        },
        "NetworkSettings": {"Networks": {"proxy": {"IPAddress": "127.0.0.1"}}},
    }
    silent = {**there, "Config": {"Healthcheck": {"Test": ["CMD", "wget", f"http://localhost:{port}/silent"]}}}
    answers = {
        "/containers/app/json": (200, there),
        "/containers/silent/json": (200, silent),
        "/containers/other/json": (200, inspected("healthy")),
    }
    here, elsewhere = EngineServer(answers, str(tmp_path / "engine.sock")), serve_engine(answers)
    try:
        engine = engine_of(here)
        assert engine.answer_of("app") == "503: no database, token <API_TOKEN>"
        assert application.asked == [("/api/health", {"deep": ["1"]})]
        assert engine.answer_of("silent") == "500 without a body"
        assert (engine.answer_of("other"), engine.answer_of("none")) == ("", "")
        if urlsplit(elsewhere.url).scheme != "unix":
            assert engine_of(elsewhere).answer_of("app") == ""
    finally:
        application.stop()
    try:
        assert engine.answer_of("app") == ""
    finally:
        here.stop()


def test_what_there_is_of_containers_and_volumes(serve_engine: ServeEngine) -> None:
    containers = [{"Id": "a1", "Mounts": [{"Type": "volume", "Name": "data"}]}, {"Id": "b2", "Mounts": []}]
    server = serve_engine(
        {"/containers/json": (200, containers), "/volumes": (200, {"Volumes": [{"Name": "data"}], "Warnings": None})}
    )
    assert engine_of(server).all_containers() == containers
    assert dict(server.asked)["/containers/json"]["all"] == ["1"]
    assert engine_of(server).all_volumes() == [{"Name": "data"}]
    assert engine_of(serve_engine({"/volumes": (200, {"Volumes": None})})).all_volumes() == []


def test_containers_are_halted_and_go_on(serve_engine: ServeEngine) -> None:
    done = (204, b"")
    server = serve_engine({f"/containers/a1/{verb}": done for verb in ("pause", "unpause", "start", "stop")})
    engine = engine_of(server)
    engine.pause("a1")
    engine.unpause("a1")
    engine.start("a1")
    engine.stop("a1")
    assert [path.rpartition("/")[2] for _unused, path, _unused in server.changes] == [
        "pause",
        "unpause",
        "start",
        "stop",
    ]
    assert dict(server.asked)["/containers/a1/stop"] == {"t": ["10"]}


@pytest.mark.parametrize("grace", [0, 45])
def test_a_container_is_given_its_own_time_to_stop(serve_engine: ServeEngine, grace: int) -> None:
    there = {"Config": {"StopTimeout": grace}}
    server = serve_engine({"/containers/a1/json": (200, there), "/containers/a1/stop": (204, b"")})
    engine_of(server).stop("a1")
    assert dict(server.asked)["/containers/a1/stop"] == {"t": [str(grace)]}


def test_volumes_are_made_and_removed(serve_engine: ServeEngine) -> None:
    server = serve_engine({"/volumes/create": (201, {"Name": "data"}), "/volumes/data": (204, b"")})
    engine = engine_of(server)
    engine.create_volume("data", "local", {"a": "b"})
    engine.create_volume("data", "local", {}, {"type": "none", "o": "bind", "device": "/srv"})
    engine.remove_volume("data")
    options = {"type": "none", "o": "bind", "device": "/srv"}
    assert server.changes == [
        ("POST", "/volumes/create", {"Name": "data", "Driver": "local", "Labels": {"a": "b"}}),
        ("POST", "/volumes/create", {"Name": "data", "Driver": "local", "DriverOpts": options, "Labels": {}}),
        ("DELETE", "/volumes/data", None),
    ]


def test_what_there_is_not(serve_engine: ServeEngine) -> None:
    engine = engine_of(serve_engine({"/networks": (200, [{"Name": "proxy-2"}])}))
    assert engine.container("app") is None
    assert engine.volume("data") is None
    assert engine.network("proxy") is None
    assert engine.look("app").exists is False


def test_networks_are_asked_for_by_name(serve_engine: ServeEngine) -> None:
    server = serve_engine({"/networks": (200, [])})
    engine_of(server).network("proxy")
    assert server.asked[-1] == ("/networks", {"filters": ['{"name": ["proxy"]}']})


def test_tags_of_exactly_one_repository(serve_engine: ServeEngine) -> None:
    images = [
        {"RepoTags": ["app:2", "app:1", "other:1"], "Created": 7},
        {"RepoTags": ["app:0"], "Created": 8},
        {"RepoTags": None},
        {"RepoTags": ["app-two:1"]},
        {},
    ]
    server = serve_engine({"/images/json": (200, images)})
    assert engine_of(server).tags("app") == ["app:0", "app:1", "app:2"]
    assert engine_of(server).images_of("app") == images


def test_the_last_lines_of_a_container(serve_engine: ServeEngine) -> None:
    log = frame("first\n") + frame("last words \r\n", stream=2) + frame("caf\u00e9")
    server = serve_engine(
        {"/containers/app/json": (200, {"Config": {"Tty": False}}), "/containers/app/logs": (200, log)}
    )
    assert engine_of(server).logs("app", 7) == ["first", "last words", "caf\u00e9"]
    path, query = next(asked for asked in server.asked if asked[0].endswith("/logs"))
    assert (query["tail"], query["stdout"], query["stderr"]) == (["7"], ["1"], ["1"])


@pytest.mark.parametrize("answer", [(404, {"message": "No such container: app"}), REFUSED])
def test_no_lines_when_they_cannot_be_read(serve_engine: ServeEngine, answer: tuple[int, Any]) -> None:
    assert engine_of(serve_engine({"/containers/app/logs": answer})).logs("app", 7) == []


def test_a_refusal_is_told_in_the_engines_words(serve_engine: ServeEngine) -> None:
    engine = engine_of(serve_engine({"/info": REFUSED, "/containers/app/json": REFUSED}))
    for ask in (engine.info, lambda: engine.look("app")):
        with pytest.raises(EngineError) as caught:
            ask()
        assert isinstance(caught.value, EngineRefused)
        assert (caught.value.status, caught.value.why) == (500, "the disk is on fire")
        assert caught.value.message == "The Docker engine refused: the disk is on fire."


@pytest.mark.parametrize("path", ["/info", "/networks", "/images/json"])
def test_an_address_without_this_answer_is_an_error_in_our_words(serve_engine: ServeEngine, path: str) -> None:
    engine = engine_of(serve_engine({path: (404, {"message": "page not found"})}))
    asks: dict[str, Callable[[], object]] = {
        "/info": engine.info,
        "/networks": lambda: engine.network("proxy"),
        "/images/json": lambda: engine.tags("app"),
    }
    with pytest.raises(EngineError, match="page not found"):
        asks[path]()


def test_a_stream_that_is_refused_is_one_that_ends(serve_engine: ServeEngine) -> None:
    feed = engine_of(serve_engine({"/events": (403, {"message": "not through this proxy"})})).listen(["app"])
    with pytest.raises(EngineUnreachable):
        feed.wait(LONG)
    feed.close()


def test_something_else_that_speaks_http_is_no_engine(serve_engine: ServeEngine) -> None:
    with pytest.raises(EngineError, match="No Docker engine answers at unix://"):
        engine_of(serve_engine({"/version": (404, b"<html>not here</html>")}))


def test_a_missing_socket(tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachable) as caught:
        Engine.connect(Address(f"unix://{tmp_path}/none.sock"))
    assert caught.value.message == (
        f"No Docker engine answers at unix://{tmp_path}/none.sock: there is no such socket. "
        "Is it installed and running (systemctl status docker)?"
    )


def test_a_socket_at_which_nobody_listens(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("e") / "dead.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(EngineUnreachable, match="nothing listens there"):
        Engine.connect(Address(f"unix://{path}"))


def test_a_port_at_which_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EngineUnreachable, match="nothing listens there"):
        Engine.connect(Address(f"tcp://127.0.0.1:{port}"))


def test_an_address_that_is_none() -> None:
    with pytest.raises(EngineUnreachable, match="No Docker engine answers at gopher://x:1: Invalid bind address"):
        Engine.connect(Address("gopher://x:1"))


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """Be an ordinary user for a while, since nothing is forbidden to root."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    yield
    os.seteuid(me)


def test_a_socket_that_is_forbidden(serve_engine: ServeEngine, request: pytest.FixtureRequest) -> None:
    server = serve_engine()
    os.chmod(server.url[len("unix://") :], 0)
    request.getfixturevalue("as_nobody")
    with pytest.raises(EngineForbidden) as caught:
        engine_of(server)
    assert caught.value.message == (
        f"Permission denied at the Docker engine's address {server.url}. "
        "Run ⟦as_root⟧, or add the user to the group docker."
    )


@pytest.mark.parametrize(
    "address",
    [
        {"ca_path": "/nowhere/ca.pem"},
        {"cert_path": "/nowhere/cert.pem", "key_path": "/nowhere/key.pem"},
    ],
)
def test_tls_files_that_are_not_there(address: dict[str, str]) -> None:
    with pytest.raises(EngineError, match="The TLS files for the Docker engine at tcp://192.0.2.1:2376 cannot be used"):
        Engine.connect(Address("tcp://192.0.2.1:2376", **address))


def test_an_engine_that_goes_away(serve_engine: ServeEngine) -> None:
    server = serve_engine()
    engine = engine_of(server)
    server.stop()
    os.unlink(server.url[len("unix://") :])
    with pytest.raises(EngineUnreachable):
        engine.look("app")


def test_listening_asks_for_containers_from_a_moment_ago(serve_engine: ServeEngine) -> None:
    began = time.time()
    server = serve_engine()
    feed = engine_of(server).listen(["app"])
    feed.close()
    path, query = server.asked[-1]
    assert path == "/events"
    assert query["filters"] == ['{"type": ["container"]}']
    assert int(query["since"][0]) < began


@pytest.mark.parametrize("tcp", [False, True])
def test_events_of_the_containers_are_news_and_no_others(serve_engine: ServeEngine, tcp: bool) -> None:
    server = serve_engine(tcp=tcp)
    feed = engine_of(server).listen(["app", "5b2b24f90fbe"])
    began = time.monotonic()
    assert feed.wait(0) is False
    assert feed.wait(-1) is False
    assert time.monotonic() - began < 0.5
    server.news.put(event("other", "0" * 12))
    server.news.put({"Type": "container"})
    server.news.put({"Actor": {"Attributes": None}})
    server.news.put(event())
    server.news.put(event("renamed"))
    assert feed.wait(LONG) is True
    assert feed.wait(LONG) is True
    server.news.put(END)
    with pytest.raises(EngineUnreachable, match="ended its stream"):
        feed.wait(LONG)
    feed.close()


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("end", [END, DROP, b"{half an event"])
def test_a_stream_that_ends_is_told_whatever_way_it_ends(serve_engine: ServeEngine, end: object, tcp: bool) -> None:
    server = serve_engine(tcp=tcp)
    feed = engine_of(server).listen(["app"])
    server.news.put(event())
    server.news.put(end)
    server.news.put(DROP)
    assert feed.wait(LONG) is True
    with pytest.raises(EngineUnreachable):
        feed.wait(LONG)
    feed.close()


@pytest.mark.parametrize("tcp", [False, True])
def test_closing_ends_the_stream_and_its_thread(serve_engine: ServeEngine, tcp: bool) -> None:
    server = serve_engine(tcp=tcp)
    before = set(threading.enumerate())
    feed = engine_of(server).listen(["app"])
    (reader,) = [one for one in set(threading.enumerate()) - before if one.name == "engine events"]
    assert reader.daemon, "it would keep the module from ending"
    feed.close()
    with pytest.raises(EngineUnreachable):
        feed.wait(LONG)
    reader.join(LONG)
    assert not reader.is_alive()


@pytest.mark.parametrize("error", [OSError("not connected"), AttributeError("_sock"), DockerException("SSH")])
def test_a_stream_that_cannot_be_closed_any_more(error: Exception) -> None:
    class Broken:
        def __iter__(self) -> Iterator[dict[str, Any]]:
            return iter([event()])

        def close(self) -> None:
            raise error

    feed = EventFeed(Broken(), ["app"]).begin()
    feed.close()
    assert feed.wait(LONG) is True


@pytest.mark.parametrize(
    "error", [RequestException("x"), DockerException("x"), OSError("x"), ValueError("x"), AttributeError("fp")]
)
def test_a_stream_that_breaks_has_ended(error: Exception) -> None:
    def stream() -> Iterator[dict[str, Any]]:
        yield event()
        raise error

    feed = EventFeed(stream(), ["app"]).begin()
    assert feed.wait(LONG) is True
    with pytest.raises(EngineUnreachable):
        feed.wait(LONG)


def test_who_ran_out_of_memory_is_remembered() -> None:
    feed = EventFeed(iter([{**event(), "Action": "oom"}, event()]), ["app", "other"]).begin()
    assert feed.wait(LONG) is True
    assert feed.ran_out_of_memory("app")
    assert not feed.ran_out_of_memory("other")


def test_a_wait_from_end_to_end(serve_engine: ServeEngine) -> None:
    server = serve_engine({"/containers/app/json": (200, inspected("starting"))})

    class Turning(SystemClock):
        """The real clock; once the wait has begun, the container turns healthy and the engine says so."""

        def now(self) -> float:
            if server.asked[-1][0].endswith("/json"):
                server.answers = {**server.answers, "/containers/app/json": (200, inspected("healthy"))}
                server.news.put(event())
            return super().now()

    ending = Wait(engine_of(server), Turning(), ["app"], HealthRules(WantedHealth.HEALTHY), LONG).run()
    assert [one.reason for one in ending.containers] == [Reason.REACHED]
    assert ending.containers[0].seconds < LONG


def test_the_calendar_is_in_utc() -> None:
    assert SystemClock().utc().utcoffset() == timedelta(0)
    assert abs(SystemClock().utc().timestamp() - time.time()) < 5


def test_the_clock_goes_forward() -> None:
    clock = SystemClock()
    before = clock.now()
    clock.sleep(0.01)
    assert 0.01 <= clock.now() - before < LONG


def test_without_the_sdk_the_module_can_still_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    spec = importlib.util.spec_from_file_location(f"{sdk.__name__}_without_docker", sdk.__file__)
    assert spec
    assert spec.loader
    bare = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, bare)
    spec.loader.exec_module(bare)
    assert isinstance(bare.SDK_MISSING, ImportError)
    assert sdk.SDK_MISSING is None
    assert VERSION["ApiVersion"] == "1.45"


def test_an_sdk_that_works_has_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sdk.sdk_fault() == ""
    monkeypatch.setattr(sdk, "SDK_MISSING", ImportError("No module named 'docker'", name="docker"))
    assert sdk.sdk_fault() == ""


def test_an_sdk_that_lacks_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk, "SDK_MISSING", ImportError("No module named 'packaging'", name="packaging"))
    assert sdk.sdk_fault() == f"docker in {Path(docker.__file__).parents[1]}: No module named 'packaging'"


def test_parts_of_the_sdk_that_do_not_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """As urllib3 2 with docker 6.0, which does not take what it is given."""

    def request(self: Any, method: str, url: str) -> None:
        raise AssertionError("it was called")

    monkeypatch.setattr("docker.transport.unixconn.UnixHTTPConnection.request", request)
    with pytest.raises(DockerVpsError) as failed:
        Engine.connect(Address("unix:///nowhere.sock"))
    fault = sdk.sdk_fault()
    assert f"docker {docker.__version__} in {Path(docker.__file__).parents[1]}, requests " in fault
    assert "unexpected keyword argument" in fault
    assert failed.value.message.startswith(f"The Docker SDK of {sys.executable} does not work: docker ")
    assert f"{sys.executable} -m pip install --upgrade docker brings newer ones." in failed.value.message


def test_images_are_found_by_name_and_by_id(serve_engine: ServeEngine) -> None:
    engine = engine_of(serve_engine({"/images/app:1/json": (200, {"Id": "sha256:ab"})}))
    assert engine.image("app:1") == {"Id": "sha256:ab"}
    assert engine.image("app:2") is None


@pytest.mark.parametrize(("registry", "server_address"), [("docker.io", sdk.HUB_ACCOUNT), ("r:5000", "r:5000")])
def test_an_image_is_asked_for_pulled_and_named(serve_engine: ServeEngine, registry: str, server_address: str) -> None:
    found = {"Descriptor": {"digest": "sha256:ab"}}
    server = serve_engine({"/distribution/r/site:1/json": (200, found), "/images/sha256:1/tag": (201, b"")})
    for news in ({"status": "Pulling"}, {"status": "Digest: sha256:ab"}, END):
        server.news.put(news)
    engine, login = engine_of(server), Login(registry, "deploy", "open-sesame")
    assert engine.registry_digest("r/site:1", login) == "sha256:ab"
    engine.pull("r/site", "sha256:ab", login)
    engine.tag("sha256:1", "shop-app", "ab")
    asked = dict(server.asked)
    assert asked["/images/create"] == {"tag": ["sha256:ab"], "fromImage": ["r/site"]}
    assert (asked["/images/sha256:1/tag"]["repo"], asked["/images/sha256:1/tag"]["tag"]) == (["shop-app"], ["ab"])
    wanted = {"username": "deploy", "password": "open-sesame", "serveraddress": server_address}
    assert [json.loads(base64.urlsafe_b64decode(sent)) for sent in server.logins] == [wanted] * 2


def test_the_platforms_of_an_image(serve_engine: ServeEngine) -> None:
    platforms = [
        {"os": "linux", "architecture": "arm64", "variant": "v8"},
        {"os": "unknown", "architecture": "unknown"},
    ]
    found = {"Descriptor": {"digest": "sha256:ab"}, "Platforms": platforms}
    engine = engine_of(serve_engine({"/distribution/r/a:1/json": (200, found), "/distribution/r/b:1/json": (200, {})}))
    assert engine.registry_platforms("r/a:1", Login("r")) == ["linux/arm64", "unknown/unknown"]
    assert engine.registry_platforms("r/b:1", Login("r")) == []


def test_an_image_is_pushed_with_its_login(serve_engine: ServeEngine) -> None:
    server = serve_engine()
    for news in ({"status": "Preparing"}, {"aux": {"Tag": "1", "Digest": "sha256:ab"}}, END):
        server.news.put(news)
    engine_of(server).push("r/site", "1", Login("r", "deploy", "open-sesame"))
    assert dict(server.asked)["/images/r/site/push"] == {"tag": ["1"]}
    assert json.loads(base64.urlsafe_b64decode(server.logins[0]))["password"] == "open-sesame"
    for news in ({"status": "Preparing"}, {"errorDetail": {"message": "denied: no"}, "error": "denied: no"}, END):
        server.news.put(news)
    with pytest.raises(EngineRefused) as caught:
        engine_of(server).push("r/site", "1", Login("r"))
    assert (caught.value.status, caught.value.why) == (0, "denied: no")


def test_without_an_account_the_login_of_the_host_counts(
    serve_engine: ServeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    account = base64.b64encode(b"somebody:else").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"r:5000": {"auth": account}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    server = serve_engine({"/distribution/r:5000/site/json": (200, {"Descriptor": {"digest": "sha256:ab"}})})
    engine_of(server).registry_digest("r:5000/site", Login("r:5000"))
    assert json.loads(base64.urlsafe_b64decode(server.logins[0]))["username"] == "somebody"


@pytest.mark.parametrize(
    ("told", "why"),
    [({"error": "EOF", "errorDetail": {"message": "it broke"}}, "it broke"), ({"error": "EOF"}, "EOF")],
)
def test_a_pull_that_breaks_off(serve_engine: ServeEngine, told: dict[str, Any], why: str) -> None:
    server = serve_engine()
    for news in ({"status": "Pulling"}, told, END):
        server.news.put(news)
    with pytest.raises(EngineRefused) as caught:
        engine_of(server).pull("r/site", "sha256:ab", Login("r"))
    assert (caught.value.status, caught.value.why) == (0, why)


def test_a_pull_that_is_refused(serve_engine: ServeEngine) -> None:
    engine = engine_of(serve_engine({"/images/create": (404, {"message": "manifest unknown"})}))
    with pytest.raises(EngineRefused) as caught:
        engine.pull("r/site", "sha256:ab", Login("r"))
    assert (caught.value.status, caught.value.why) == (404, "manifest unknown")


def test_whether_a_network_is_there(serve_engine: ServeEngine) -> None:
    engine = engine_of(serve_engine({"/networks/0a0a": (200, {"Id": "0a0a"})}))
    assert (engine.has_network("0a0a"), engine.has_network("0b0b")) == (True, False)


def test_a_network_and_a_container_are_made(serve_engine: ServeEngine) -> None:
    server = serve_engine({"/networks/create": (201, {"Id": "n1"}), "/containers/create": (201, {"Id": "c1"})})
    engine = engine_of(server)
    engine.create_network("drill", {"a": "b"}, internal=True)
    engine.create_container("drill", {"Image": "app:1", "HostConfig": {"NetworkMode": "drill"}})
    (_unused, path, network), container = server.changes
    assert path == "/networks/create"
    assert network.items() >= {"Name": "drill", "Driver": "bridge", "Internal": True, "Labels": {"a": "b"}}.items()
    assert container == (
        "POST",
        "/containers/create",
        {"Image": "app:1", "HostConfig": {"NetworkMode": "drill"}},
    )
    assert dict(server.asked)["/containers/create"] == {"name": ["drill"]}


def test_everything_with_a_label_is_removed(serve_engine: ServeEngine) -> None:
    done = (204, b"")
    server = serve_engine(
        {
            "/containers/json": (200, [{"Id": "c1"}, {"Id": "gone"}]),
            "/networks": (200, [{"Id": "n1"}]),
            "/volumes": (200, {"Volumes": [{"Name": "v1"}]}),
            "/containers/c1": done,
            "/networks/n1": done,
            "/volumes/v1": done,
        }
    )
    engine_of(server).remove_labelled("drill=app")
    assert [path for _unused, path, _unused in server.changes] == [
        "/containers/c1",
        "/containers/gone",
        "/networks/n1",
        "/volumes/v1",
    ]
    asked = dict(server.asked)
    for path in ("/containers/json", "/networks", "/volumes"):
        assert json.loads(asked[path]["filters"][0]) == {"label": ["drill=app"]}
    assert asked["/containers/json"]["all"] == ["1"]
    assert asked["/containers/c1"] == {"v": ["True"], "link": ["False"], "force": ["True"]}


def test_nothing_with_a_label(serve_engine: ServeEngine) -> None:
    server = serve_engine({"/containers/json": (200, []), "/networks": (200, []), "/volumes": (200, {"Volumes": None})})
    engine_of(server).remove_labelled("drill=app")
    assert server.changes == []


def test_what_cannot_be_removed_is_told(serve_engine: ServeEngine) -> None:
    server = serve_engine({"/containers/json": (200, [{"Id": "c1"}]), "/containers/c1": REFUSED})
    with pytest.raises(EngineError, match="the disk is on fire"):
        engine_of(server).remove_labelled("drill=app")


@pytest.mark.parametrize("tcp", [False, True])
def test_a_log_is_read_in_pieces_with_its_streams_and_exact_times(serve_engine: ServeEngine, tcp: bool) -> None:
    log = b"".join(frame(f"{n} {'x' * 1000}\n", 1 + n % 2) for n in range(200))
    server = serve_engine({"/containers/a%20b/logs": (200, log)}, tcp=tcp)
    pieces = list(engine_of(server).log("a b", 0, "1769860800.123456789"))
    assert b"".join(pieces) == log
    assert max(map(len, pieces)) <= sdk.PIECE < len(log)
    asked = {"stdout": ["1"], "stderr": ["1"], "timestamps": ["1"], "tail": ["all"], "since": ["1769860800.123456789"]}
    assert server.asked[-1] == ("/containers/a%20b/logs", asked)


def packed(name: str, text: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size, member.type = len(text), kind
        tar.addfile(member, io.BytesIO(text))
    return file.getvalue()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ((200, packed("passwd", b"root:x:0:0\n")), "root:x:0:0\n"),
        ((200, packed("passwd", b"", tarfile.SYMTYPE)), ""),
        ((404, {"message": "Could not find the file"}), ""),
    ],
)
def test_a_file_of_a_container(serve_engine: ServeEngine, answer: tuple[int, Any], text: str) -> None:
    server = serve_engine({"/containers/app/archive": answer})
    assert engine_of(server).text("app", "/etc/passwd") == text
    assert server.asked[-1] == ("/containers/app/archive", {"path": ["/etc/passwd"]})


def test_the_texts_below_a_directory_of_a_container(serve_engine: ServeEngine) -> None:
    server = serve_engine({"/containers/web/archive": (200, packed("nginx.conf", b"events {}"))})
    engine = engine_of(server)
    assert engine.texts("web", "/etc/nginx") == "events {}"
    server.answers["/containers/web/archive"] = (200, packed("d", b"", tarfile.DIRTYPE))
    assert engine.texts("web", "/etc/nginx") == ""
    server.answers["/containers/web/archive"] = (200, packed("nginx.conf", b"events {}")[:300])
    assert engine.texts("web", "/etc/nginx") == ""
    server.answers["/containers/web/archive"] = (404, {"message": "Could not find the file"})
    assert engine.texts("web", "/etc/nginx") == ""


def test_whether_a_container_has_a_file(serve_engine: ServeEngine) -> None:
    server = serve_engine({"/containers/app/archive": (200, b"")})
    engine = engine_of(server)
    assert engine.has("app", "/bin/sh") is True
    assert server.asked[-1] == ("/containers/app/archive", {"path": ["/bin/sh"]})
    server.answers["/containers/app/archive"] = (404, {"message": "Could not find the file"})
    assert engine.has("app", "/bin/sh") is False
    server.answers["/containers/app/archive"] = (500, {"message": "on fire"})
    with pytest.raises(EngineError, match="The Docker engine refused"):
        engine.has("app", "/bin/sh")


def test_the_end_of_a_log_up_to_a_time(serve_engine: ServeEngine) -> None:
    server = serve_engine({"/containers/app/logs": (200, b"")})
    assert list(engine_of(server).log("app", 7, until="1769860800.5")) == []
    query = server.asked[-1][1]
    assert (query["tail"], query["until"]) == (["7"], ["1769860800.5"])


@pytest.mark.parametrize(
    ("answer", "changes"), [(REFUSED, "the disk is on fire"), ((404, {"message": "No such container: app"}), "No such")]
)
def test_a_log_that_is_refused(serve_engine: ServeEngine, answer: tuple[int, Any], changes: str) -> None:
    log = engine_of(serve_engine({"/containers/app/logs": answer})).log("app", 0)
    with pytest.raises(EngineError, match=f"^The Docker engine refused: {changes}"):
        next(log)


def test_a_log_of_an_engine_that_goes_away(serve_engine: ServeEngine) -> None:
    server = serve_engine()
    engine = engine_of(server)
    server.stop()
    os.unlink(server.url[len("unix://") :])
    with pytest.raises(EngineUnreachable):
        next(engine.log("app", 0))


def test_a_container_gets_another_name(serve_engine: ServeEngine) -> None:
    server = serve_engine({"/containers/a1/rename": (204, b"")})
    engine_of(server).rename("a1", "app-old")
    assert dict(server.asked)["/containers/a1/rename"] == {"name": ["app-old"]}
    with pytest.raises(EngineError, match="No such thing"):
        engine_of(server).rename("b2", "app-old")


def test_a_container_is_removed_also_when_it_runs(serve_engine: ServeEngine) -> None:
    server = serve_engine({"/containers/a1": (204, b""), "/containers/c3": REFUSED})
    engine = engine_of(server)
    engine.remove_container("a1")
    assert server.asked[-1] == ("/containers/a1", {"force": ["True"], "v": ["True"], "link": ["False"]})
    engine.remove_container("b2")
    with pytest.raises(EngineError, match="the disk is on fire"):
        engine.remove_container("c3")


def test_a_name_of_an_image_is_removed(serve_engine: ServeEngine) -> None:
    server = serve_engine({"/images/app:1": (200, []), "/images/app:3": (409, {"message": "a container uses it"})})
    engine = engine_of(server)
    for name in ("app:1", "app:2", "sha256:ab"):
        engine.remove_image(name)
    forced = [(path, query["force"]) for path, query in server.asked if path.startswith("/images/")]
    assert forced == [("/images/app:1", ["False"]), ("/images/app:2", ["False"]), ("/images/sha256:ab", ["True"])]
    with pytest.raises(EngineError, match="a container uses it"):
        engine.remove_image("app:3")


def test_a_command_in_a_container(serve_engine: ServeEngine) -> None:
    answers = {"/containers/a1/exec": (201, {"Id": "e1"}), "/exec/e1/start": (200, b"")}
    server = serve_engine({**answers, "/exec/e1/json": (200, {"Running": True, "ExitCode": None})})
    engine = engine_of(server)
    assert engine.begin("a1", ["wget", "-q"]) == "e1"
    assert server.changes[0][2]["Cmd"] == ["wget", "-q"]
    assert server.changes[1][2] == {"Tty": False, "Detach": True}
    assert engine.ended("e1") is None
    server.answers["/exec/e1/json"] = (200, {"Running": False, "ExitCode": 7})
    assert engine.ended("e1") == 7
    with pytest.raises(EngineError):
        engine.begin("b2", ["true"])


IDENTITY = "5b2b24f90fbe" + "0" * 52


def made_container(**config: Any) -> dict[str, Any]:
    return {
        "Id": IDENTITY,
        "Config": {"Image": "app:1", "Hostname": IDENTITY[:12], "Labels": {"a": "1", "b": "2"}, **config},
        "HostConfig": {"Binds": ["data:/data:rw"], "RestartPolicy": {"Name": "unless-stopped"}},
        "NetworkSettings": {"Networks": {"proxy": {"Aliases": ["app-next", "app"], "IPAddress": "192.0.2.7"}}},
    }


def recreated(serve_engine: ServeEngine, made: dict[str, Any], aliases: list[str]) -> EngineServer:
    server = serve_engine(
        {
            "/containers/app-next/json": (200, made),
            "/containers/app-next": (204, b""),
            "/containers/create": (201, {"Id": "new"}),
            "/networks/second/connect": (200, b""),
        }
    )
    assert engine_of(server).recreate("app-next", "app-next", {"b": "3", "c": "4"}, aliases) == "new"
    return server


def test_a_container_is_recreated_with_other_labels_and_names(serve_engine: ServeEngine) -> None:
    server = recreated(serve_engine, made_container(), ["www"])
    assert [(method, path) for method, path, _unused in server.changes] == [
        ("DELETE", "/containers/app-next"),
        ("POST", "/containers/create"),
    ]
    assert dict(server.asked)["/containers/create"] == {"name": ["app-next"]}
    assert server.changes[-1][2] == {
        "Image": "app:1",
        "Labels": {"a": "1", "b": "3", "c": "4"},
        "HostConfig": {"Binds": ["data:/data:rw"], "RestartPolicy": {"Name": "unless-stopped"}},
        "NetworkingConfig": {"EndpointsConfig": {"proxy": {"Aliases": ["www"]}}},
    }


def test_a_container_whose_config_says_nothing_is_recreated(serve_engine: ServeEngine) -> None:
    made = made_container()
    made["Config"] = {}
    assert recreated(serve_engine, made, []).changes[-1][2]["Labels"] == {"b": "3", "c": "4"}


def test_what_people_configured_of_names_and_networks_stays(serve_engine: ServeEngine) -> None:
    made = made_container(Hostname="shop", Domainname="example.com", Labels=None)
    made["NetworkSettings"]["Networks"] = {
        "proxy": {"IPAMConfig": {"IPv4Address": "192.0.2.7"}, "Links": None},
        "second": {
            "IPAMConfig": {"IPv4Address": "192.0.2.8", "IPv6Address": "2001:db8::8"},
            "Links": ["mail:smtp"],
            "DriverOpts": {"x": "y"},
        },
    }
    server = recreated(serve_engine, made, ["www"])
    body = server.changes[1][2]
    assert (body["Hostname"], body["Domainname"]) == ("shop", "example.com")
    assert body["Labels"] == {"b": "3", "c": "4"}
    assert body["NetworkingConfig"]["EndpointsConfig"] == {
        "proxy": {"IPAMConfig": {"IPv4Address": "192.0.2.7"}, "Aliases": ["www"]}
    }
    assert server.changes[2] == (
        "POST",
        "/networks/second/connect",
        {
            "Container": "new",
            "EndpointConfig": {
                "Aliases": ["www"],
                "Links": ["mail:smtp"],
                "IPAMConfig": {"IPv4Address": "192.0.2.8", "IPv6Address": "2001:db8::8"},
                "DriverOpts": {"x": "y"},
            },
        },
    )


def test_a_further_network_without_anything_configured(serve_engine: ServeEngine) -> None:
    made = made_container()
    made["NetworkSettings"]["Networks"]["second"] = {}
    assert recreated(serve_engine, made, []).changes[2][2] == {"Container": "new", "EndpointConfig": {}}


def test_a_container_that_cannot_be_recreated_is_told(serve_engine: ServeEngine) -> None:
    with pytest.raises(EngineError, match="No such thing"):
        engine_of(serve_engine()).recreate("app-next", "app-next", {}, [])


def test_images_are_written_and_listed(serve_engine: ServeEngine) -> None:
    listed = [{"Id": "sha256:ab"}, {"Id": "sha256:cd"}, {"Id": "sha256:ab"}]
    server = serve_engine({"/images/app:1/get": (200, b"archive" * 10), "/images/json": (200, listed)})
    engine = engine_of(server)
    assert b"".join(engine.save("app:1")) == b"archive" * 10
    assert engine.image_ids() == ["sha256:ab", "sha256:cd"]
    assert ("/images/json", "1") in [(path, query.get("all", [""])[0]) for path, query in server.asked]
    with pytest.raises(EngineError, match="No such thing: /images/app:2/get"):
        list(engine.save("app:2"))


def loading(answer: bytes, pieces: Iterator[bytes]) -> tuple[str, bytes]:
    """Load an archive into an engine that takes what comes in chunks, and return the failure and what it took."""
    taken = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _turn in range(3):
                connection, _address = listener.accept()
                with connection, connection.makefile("rb") as file:
                    head = b"".join(iter(file.readline, b"\r\n"))
                    if b"/images/load" not in head:
                        body = json.dumps(VERSION).encode()
                    else:
                        for line in iter(file.readline, b""):
                            size = int(line, 16)
                            taken.append(file.read(size + 2)[:size])
                            if not size:
                                break
                        body = answer
                    connection.sendall(
                        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
                    )
                if b"/images/load" in head:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        message = ""
        try:
            Engine.connect(Address(f"tcp://127.0.0.1:{listener.getsockname()[1]}")).load(pieces)
        except EngineError as error:
            message = error.message
        finally:
            thread.join(LONG)
    return message, b"".join(taken)


def test_an_archive_is_loaded() -> None:
    assert loading(b'{"stream":"Loaded image: app:1\\n"}\r\n', iter([b"one", b"two"])) == ("", b"onetwo")


def test_no_piece_of_an_archive_is_empty(serve_engine: ServeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """One would end the body, as requests before 2.29 sends it."""
    given: list[bytes] = []
    monkeypatch.setattr(docker.APIClient, "load_image", lambda _self, pieces: given.extend(pieces) or [])
    engine_of(serve_engine()).load(iter([b"", b"one", b"", b"two", b""]))
    assert given == [b"one", b"two"]


def test_a_load_that_fails_after_it_has_begun() -> None:
    answer = b'{"status":"Loading layer"}\r\n{"errorDetail":{"message":"no space left"},"error":"no space left"}\r\n'
    message, _taken = loading(answer, iter([b"one"]))
    assert message == "The Docker engine refused the image: no space left."


def test_what_is_wrong_with_an_archive_ends_its_load() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"one"
        raise EngineError("a part is damaged")

    assert loading(b"{}", pieces())[0] == "a part is damaged"


def test_what_happened_to_a_container_since_its_last_start(serve_engine: ServeEngine) -> None:
    server = serve_engine()
    for action in ("start", "die", "start", "kill", "die", "stop"):
        server.news.put({"Action": action})
    server.news.put(END)
    assert engine_of(server).last_events("app") == ["kill", "die", "stop"]
    path, query = server.asked[-1]
    assert path == "/events"
    assert json.loads(query["filters"][0]) == {"type": ["container"], "container": ["app"]}
    assert abs(int(query["until"][0]) - time.time()) < 60
    server.news.put({"Action": "die"})
    server.news.put(END)
    assert engine_of(server).last_events("app") == ["die"]


def test_images_without_a_name(serve_engine: ServeEngine) -> None:
    server = serve_engine({"/images/json": (200, [{"Size": 5}, {}])})
    assert engine_of(server).unnamed_images() == [5, 0]
    assert json.loads(server.asked[-1][1]["filters"][0]) == {"dangling": ["true"]}


def test_images_without_a_name_with_what_they_share(serve_engine: ServeEngine) -> None:
    server = serve_engine({"/images/json": (200, [{"Id": "sha256:a", "Size": 5, "SharedSize": 2}])})
    assert engine_of(server).unnamed() == [{"Id": "sha256:a", "Size": 5, "SharedSize": 2}]
    assert server.asked[-1][1]["shared-size"] == ["1"]
    assert json.loads(server.asked[-1][1]["filters"][0]) == {"dangling": ["true"]}


def test_an_image_without_a_name_is_never_forced_away_nor_what_it_is_based_on(serve_engine: ServeEngine) -> None:
    names = ["a/b@sha256:1", "a/b@sha256:2"]
    gone = (200, [])
    answers = {"/images/a/b%40sha256:2": gone, "/images/sha256:a": gone}
    server = serve_engine({**answers, "/images/sha256:a/json": (200, {"RepoDigests": names})})
    engine_of(server).remove_unnamed("sha256:a")
    assert [(method, path) for method, path, _body in server.changes] == [
        ("DELETE", "/images/a/b%40sha256:2"),
        ("DELETE", "/images/sha256:a"),
    ]
    asked = [query for path, query in server.asked if path in answers]
    assert asked == [{"force": ["False"], "noprune": ["True"]}] * 2
    engine_of(serve_engine({})).remove_unnamed("sha256:gone")


def test_build_cache(serve_engine: ServeEngine) -> None:
    server = serve_engine({"/system/df": (200, {"BuildCache": [{"ID": "a"}]}), "/build/prune": (200, {})})
    assert engine_of(server).build_cache() == [{"ID": "a"}]
    assert server.asked[-1] == ("/system/df", {"type": ["build-cache"]})
    engine_of(server).prune_build_cache(1000)
    assert json.loads(server.asked[-1][1]["filters"][0]) == {"until": ["1000"]}
    assert server.asked[-1][1]["all"] == ["true"]
    assert engine_of(serve_engine({"/system/df": (200, {"BuildCache": None})})).build_cache() == []
    refusing = serve_engine({"/build/prune": (409, {"message": "a prune operation is already running"})})
    with pytest.raises(EngineRefused, match="already running"):
        engine_of(refusing).prune_build_cache(1000)


@pytest.mark.parametrize(("config", "grace"), [({"StopTimeout": 45}, "45"), ({}, "10")])
def test_a_restart_gives_the_container_its_grace(serve_engine: ServeEngine, config: Any, grace: str) -> None:
    answers = {"/containers/app/json": (200, {"Config": config}), "/containers/app/restart": (204, b"")}
    server = serve_engine(answers)
    engine_of(server).restart("app")
    assert server.asked[-1] == ("/containers/app/restart", {"t": [grace]})


def test_an_engine_that_does_not_answer_in_time(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as frozen:
        frozen.bind(str(tmp_path / "e.sock"))
        frozen.listen()
        began = time.monotonic()
        with pytest.raises(EngineUnreachable, match="timed out"):
            Engine.connect(Address(f"unix://{tmp_path}/e.sock"), within=1)
        assert time.monotonic() - began < LONG
