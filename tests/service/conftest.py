# SPDX-License-Identifier: AGPL-3.0-or-later
"""The real parts that the tests share, and how they are torn down.

`service` is one running service for the session, with short time-outs and
all kinds of source; `make_service` starts another with settings of the
test's own.  When a test fails, the logs that its services wrote meanwhile
are part of its report.
"""

import json
import pathlib
import re
import shutil
import tempfile

import pytest
import requests

import browser as browsers
import origins
import pool as pools
import stores
import web_servers
from service import Service

# Sources that fail shall do so soon.
IMPATIENT = {"CONNECT_TIMEOUT": "5s", "FIRST_BYTE_TIMEOUT": "5s",
             "STALL_TIMEOUT": "3s", "SOURCE_RETRIES": 2, "SOURCE_RESUMES": 2}

DEATH = re.compile(r"worker \d+ died")

PATHS = json.loads((pathlib.Path(__file__).resolve().parents[2]
                    / "web/openapi.json").read_text())["paths"]

running: list = []


def logs(service: Service) -> dict:
    return {"pool": service.pool.log(), "lighttpd": service.server.log()}


def news(service: Service) -> dict:
    """What its logs have said since the running test began."""
    return {name: text[service.log_marks.get(name, 0):]
            for name, text in logs(service).items()}


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true",
                     help="run the slow tests too")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: slow; runs with --long")
    config.addinivalue_line("markers", "deaths: it kills workers itself")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--long"):
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="slow: needs --long"))


def pytest_terminal_summary(terminalreporter):
    """The table, whichever process it was measured in."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, text in report.user_properties:
                if name == web_servers.TABLE:
                    terminalreporter.write_line("\n" + text)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    for service in running:
        for name, text in news(service).items():
            report.sections.append((f"log of {name}", text[-8000:]))


@pytest.fixture(autouse=True)
def blames(request):
    """A crash fails the test that caused it, whatever the client saw."""
    for service in running:
        service.log_marks = {name: len(text)
                             for name, text in logs(service).items()}
    yield
    for service in running:
        service.pool.check_sanitizers()
        if not request.node.get_closest_marker("deaths"):
            said = news(service)["pool"]
            assert not DEATH.search(said), said[-4000:]


@pytest.fixture(scope="session")
def origin(tmp_path_factory):
    origin = origins.Origin(tmp_path_factory.mktemp("origin"))
    yield origin
    origin.stop()


@pytest.fixture(scope="session")
def file_root(tmp_path_factory) -> pathlib.Path:
    """FILE_ROOT of `service`, with something beside it to steal."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "secret.txt").write_text("beside the root")
    root = folder / "root"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "plain.txt").write_text("in the root\n" * 1000)
    (root / "inside").symlink_to("sub/plain.txt")
    (root / "outside").symlink_to("../secret.txt")
    (root / "absolute").symlink_to(folder / "secret.txt")
    (root / "folder-outside").symlink_to("..")
    return root


@pytest.fixture
def house(request) -> pathlib.Path:
    """What tools/run needs of the tree, where a careless script stumbles; its
    name may be the test's own."""
    with tempfile.TemporaryDirectory() as folder:
        house = pathlib.Path(folder) / getattr(request, "param",
                                               "a house & more")
        for name in ("tools/run", "deploy/lighttpd/run.conf.in", "examples"):
            (house / name).parent.mkdir(parents=True, exist_ok=True)
            source = pools.ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, house / name)
        (house / "build").mkdir()
        shutil.copy(pools.binary(), house / "build" / "zipstream")
        yield house


def undescribed(service: Service) -> list:
    """Answers that it has given and web/openapi.json leaves out."""
    try:
        text = service.get("/metrics").text
    except requests.RequestException:
        return []
    found = re.findall(r'^zipstream_responses_total{method="([A-Z]+)",'
                       r'route="(/[^"]*)",status="(\d+)"}', text, re.M)
    return [row for row in found if row[2] not in {
        "499", "500", *PATHS[re.sub(r":(\w+)", r"{\1}", row[1])][
            row[0].lower()]["responses"]}]


def halted(service: Service):
    """Stops well, or leaves nothing behind."""
    try:
        assert undescribed(service) == []
        service.stop()
    finally:
        service.kill()
        running.remove(service)


@pytest.fixture(scope="session")
def service(tmp_path_factory, origin, file_root):
    settings = {**IMPATIENT, "FS_INTERFACES": "s3,https,file",
                "FILE_ROOT": file_root, "CA_FILE": origin.pems["ca"]}
    service = Service(tmp_path_factory.mktemp("service"), settings)
    running.append(service)
    try:
        yield service.start()
    finally:
        halted(service)


@pytest.fixture
def make_service(tmp_path_factory):
    """Starts services that end with the test."""
    mine = []

    def make(config: "pathlib.Path | None" = None, **settings) -> Service:
        folder = tmp_path_factory.mktemp("own")
        service = Service(folder, {**IMPATIENT, **settings}, config)
        mine.append(service)
        running.append(service)
        return service.start()

    yield make
    for service in mine:
        if service.pool.process and service.pool.process.poll() is None:
            halted(service)
        else:
            service.kill()
            running.remove(service)


@pytest.fixture(scope="session", params=list(stores.STORES))
def store(request, tmp_path_factory):
    """A running database of each kind."""
    store = stores.STORES[request.param](tmp_path_factory.mktemp("store"))
    yield store.start()
    store.stop()


@pytest.fixture(scope="session")
def stored(store, tmp_path_factory):
    """A running service on `store`."""
    service = Service(tmp_path_factory.mktemp("stored"),
                      {**IMPATIENT, **store.settings})
    running.append(service)
    try:
        yield service.start()
    finally:
        halted(service)


@pytest.fixture(scope="session")
def browser():
    if browsers.missing():
        pytest.skip(browsers.missing())
    browser = browsers.Browser()
    yield browser
    browser.stop()


@pytest.fixture(scope="session")
def sanitized() -> bool:
    return pools.sanitized()


@pytest.fixture(scope="session")
def scene():
    """A pool and its bundles, for every web server of deploy/; sources that
    fail do so for good."""
    scene = web_servers.Scene({**IMPATIENT, "SOURCE_RETRIES": 0,
                               "SOURCE_RESUMES": 0,
                               "SETTLE_TIMEOUT": "500ms"})
    try:
        yield scene.start()
    finally:
        scene.stop()


@pytest.fixture(scope="session", params=web_servers.SERVERS,
                ids=[server.name for server in web_servers.SERVERS])
def deployment(request, scene):
    """The program behind each web server, with the config that we ship."""
    deployment = web_servers.Deployment(scene, request.param)
    running.append(deployment)
    try:
        yield deployment.start()
    finally:
        running.remove(deployment)
        deployment.stop()


@pytest.fixture(scope="session")
def measured() -> dict:
    """What the tests found out, for the README's table: server, column."""
    return {server.name: {} for server in web_servers.SERVERS}
