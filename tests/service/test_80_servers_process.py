# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who starts the program, and how it ends: the process managers of web
servers, shared hosting, systemd's socket and unit, the container."""

import concurrent.futures
import configparser
import contextlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
import requests

import judges
import pool as pools
import web_servers
from pool import wait_until
from servers import free_port
from web_servers import (DEPLOY, KEY, USER, ApacheFcgid, ApacheProxy,
                         Deployment, LighttpdBinPath, LighttpdCgi, NginxPool,
                         Scene, SharedHosting, is_program, is_root, new_folder)


@pytest.fixture
def deployed(scene):
    """A deployment of the test's own."""
    mine = []

    def make(kind: type, scene_: Scene = scene) -> Deployment:
        mine.append(Deployment(scene_, kind))
        return mine[-1].start()

    yield make
    for deployment in mine:
        deployment.stop()
        deployment.pool.check_sanitizers()


def in_background(function, *arguments):
    executor = concurrent.futures.ThreadPoolExecutor(1)
    future = executor.submit(function, *arguments)
    executor.shutdown(wait=False)
    return future


def alive(pids: list) -> list:
    return [pid for pid in pids if is_program(pid)]


# -- started by the web server -----------------------------------------------


def test_bin_path_preforks_once_and_leaves(deployed):
    deployment = deployed(LighttpdBinPath)
    programs = deployment.server.programs()
    wait_until(lambda: len(deployment.server.programs())
               == 2 + LighttpdBinPath.workers,
               "a parent, its keeper and its workers")
    programs = deployment.server.programs()
    assert deployment.get("/health-check").status_code == 200
    # Its own status is 1 when the program leaves before it has looked.
    deployment.server.stop()
    wait_until(lambda: not alive(programs), "the end of the program", 10)


def test_bin_path_finishes_what_streams(deployed, origin):
    """SIGINT is lighttpd's graceful stop."""
    deployment = deployed(LighttpdBinPath)
    file = origin.file("drain.bin", size="4m", rate="2m")
    download = in_background(deployment.zip, [file.entry(size=4 << 20)])
    origin.wait(lambda books: file.books["bytes"] > 100_000)
    deployment.server.process.send_signal(signal.SIGINT)
    judges.check(download.result(60).well(), {"drain.bin": file.bytes})
    wait_until(lambda: deployment.server.process.poll() is not None, "end")


def test_mod_fcgid_has_one_process_for_a_download(deployed, origin):
    deployment = deployed(ApacheFcgid)
    files = [origin.file(f"{i}.bin", size="3m", rate="1500k")
             for i in range(4)]
    downloads = [in_background(deployment.zip, [f.entry(size=3 << 20)])
                 for f in files]
    wait_until(lambda: all(f.books["bytes"] > 0 for f in files), "four", 30)
    programs = deployment.server.programs()
    assert 4 <= len(programs) <= 5
    for file, download in zip(files, downloads):
        judges.check(download.result(60).well(), {file.dst: file.bytes})
    assert deployment.server.stop() == 0
    wait_until(lambda: not alive(programs), "the end of the program", 15)


def test_cgi_notes_a_download_whose_client_has_left(deployed, origin):
    """lighttpd ends the program of a client that leaves, also of one that has
    got all of its answer."""
    deployment = deployed(LighttpdCgi)
    bundle = deployment.create([origin.file("noted.bin").entry()])
    for _ in range(5):
        deployment.fetch(bundle).well()
    path = f"/{bundle['id']}/{bundle['secret']}/status"
    wait_until(lambda: len(deployment.get(path).json()["downloads"]) == 5,
               "the records of all downloads")


# -- a web server that is restarted -------------------------------------------

GRACEFUL = {web_servers.Lighttpd: signal.SIGINT,
            web_servers.Nginx: signal.SIGQUIT,
            web_servers.Apache: signal.SIGUSR1}
# Longer than lighttpd's patience by default (9 s) and mod_fcgid's (10 s).
WHILE_RESTARTED = 14


def test_restarted_server_lets_downloads_finish(deployed, origin):
    """All but mod_fcgid, which kills the program; a length shows it."""
    begun = []
    for deployment in [deployed(kind) for kind in web_servers.SERVERS]:
        file = origin.file("restarted.bin", size=WHILE_RESTARTED * 100_000,
                           rate="100000")
        begun.append((deployment, file, in_background(
            deployment.zip, [file.entry(size=file.wish.size,
                                        compression="store")])))
    for deployment, file, _ in begun:
        origin.wait(lambda books: file.books["bytes"] > 100_000)
        number, = (n for kind, n in GRACEFUL.items()
                   if isinstance(deployment.server, kind))
        deployment.server.process.send_signal(number)
    for deployment, file, download in begun:
        got = download.result(90)
        if isinstance(deployment.server, (ApacheFcgid, SharedHosting)):
            got.cut()
        else:
            judges.check(got.well(), {file.dst: file.bytes})


# -- kept connections --------------------------------------------------------


class KeepingNginx(NginxPool):
    def site(self):
        super().site()
        include = self.folder / "zipstream.inc"
        text = include.read_text()
        where = f"unix:{self.scene.pool.socket}"
        assert where in text
        include.write_text(text.replace(where, "kept")
                           + "fastcgi_keep_conn on;\n")
        site = self.folder / "site.conf"
        site.write_text(f"upstream kept {{ server {where}; keepalive 8; }}\n"
                        + site.read_text())


class KeepingApache(ApacheProxy):
    def site(self):
        super().site()
        site = self.folder / "site.conf"
        site.write_text(site.read_text().replace(
            "flushpackets=on", "flushpackets=on enablereuse=on"))


@pytest.mark.parametrize("kind", [KeepingNginx, KeepingApache])
def test_kept_connections_pin_no_worker(kind):
    """Two workers, more clients; shipped configs do not keep any."""
    scene = Scene({"MAX_WORKERS": 2}).start()
    deployment = Deployment(scene, kind)
    try:
        deployment.start()
        with concurrent.futures.ThreadPoolExecutor(6) as clients:
            answers = list(clients.map(
                lambda _: deployment.get("/health-check", timeout=10),
                range(60)))
        codes = [answer.status_code for answer in answers]
        # Apache may find a connection that it meant to reuse closed.
        assert set(codes) <= ({200} if kind is KeepingNginx else {200, 503})
        assert codes.count(200) > 50
    finally:
        deployment.stop()
        scene.stop()


# -- shared hosting ----------------------------------------------------------


@pytest.fixture
def hosted(deployed):
    return deployed(SharedHosting)


def test_folder_of_the_host_is_not_served(hosted):
    hosted.get("/health-check")  # so that there are bundles to steal
    state = hosted.server.folder / "site/zip"
    secrets = {p.relative_to(state).as_posix() for p in state.rglob("*")
               if p.is_file()}
    assert {".env", ".htaccess", "zipstream"} <= secrets
    for path in (*secrets, "data", "data/", ".", "./.env", "data/../.env"):
        answer = hosted.get("/" + path)
        assert answer.status_code in (403, 404), path
        assert KEY not in answer.text and "SQLite" not in answer.text
    stored = [p for p in secrets if p.endswith(".db")]
    hosted.create([])
    assert stored or list(state.rglob("zipstream.db"))


def test_sub_domain_begins_at_the_folder(hosted, origin):
    host = {"Host": "sub.example"}
    hosted.prefix = ""
    file = origin.file("s.bin")
    answer = hosted.post("/", {"filename": "a", "files": [file.entry()]},
                         headers=host)
    assert answer.status_code == 201, answer.text
    bundle = answer.json()
    path = f"/{bundle['id']}/{bundle['secret']}/"
    assert hosted.get(path, headers=host).json() == bundle
    got = hosted.curl(f"/{bundle['id']}/", "-H", "Host: sub.example")
    judges.check(got.well(), {"s.bin": file.bytes})
    assert hosted.post("/nothing", {}, headers=host).status_code == 404


def test_host_needs_no_libraries(hosted):
    hosted.get("/health-check")
    folder = hosted.server.folder / "site/zip"
    maps = [pathlib.Path(f"/proc/{pid}/maps").read_text()
            for pid in hosted.server.programs()
            if os.readlink(f"/proc/{pid}/exe") == str(folder / "zipstream")]
    assert maps
    for mapped in maps:
        used = set(re.findall(r"/(lib[^/\s]+\.so[^/\s]*)$", mapped, re.M))
        carried = set(re.findall(rf"{folder}/lib/(\S+)$", mapped, re.M))
        assert {"libcurl.so.4", "libfcgi.so.0"} <= carried
        assert used - carried <= {"libc.so.6", "libm.so.6", "libresolv.so.2"}


class PlainHost(SharedHosting):
    """A hoster who has no mod_fcgid."""

    modules = ("cgid",)


def test_host_without_mod_fcgid(deployed, origin):
    host = deployed(PlainHost)
    file = origin.file("p.bin", size="1m")
    got = host.fetch(host.create([file.entry()]))
    judges.check(got.well(), {"p.bin": file.bytes})
    assert host.get("/zipstream.fcgi").status_code == 404


def test_both_wrappers_of_the_host_are_the_same():
    fcgi, cgi = ((DEPLOY / "shared-hosting" / name).read_text()
                 for name in ("zipstream.fcgi", "zipstream.cgi"))
    assert fcgi == cgi


# -- systemd -----------------------------------------------------------------


def unit(name: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False, delimiters="=",
                                          comment_prefixes="#")
    parser.optionxform = str
    parser.read(DEPLOY / "systemd" / name)
    return parser


class Systemd:
    """As systemd would: holds the socket, starts, reloads and stops what the
    units say, and hears what the service tells it."""

    def __init__(self, scene: Scene):
        self.scene = scene
        self.folder = new_folder(scene.folder)
        self.socket_unit = unit("zipstream.socket")["Socket"]
        self.service_unit = unit("zipstream.service")["Service"]
        assert self.socket_unit["ListenStream"] == web_servers.SOCKET
        assert self.service_unit["Sockets"] == "zipstream.socket"
        path = self.folder / "activated.sock"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        path.chmod(int(self.socket_unit["SocketMode"], 8))
        assert self.socket_unit["SocketUser"] == USER
        web_servers.give(path)
        self.listener.listen(int(self.socket_unit["Backlog"]))
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notices.bind(str(self.folder / "notify"))
        web_servers.give(self.folder / "notify")
        self.notices.settimeout(20)
        # What the web server is told to connect to.
        self.pool = type("Activated", (), {"socket": path})
        self.settings = scene.settings
        self.started = []

    def environment(self) -> dict:
        words = shlex.split(self.service_unit["Environment"])
        declared = dict(word.split("=", 1) for word in words)
        assert declared["STATE_DIR"] == "/var/lib/zipstream"
        declared["STATE_DIR"] = str(self.folder)
        return {**declared, "PATH": os.environ["PATH"],
                "NOTIFY_SOCKET": str(self.folder / "notify")}

    def start(self) -> subprocess.Popen:
        line = self.service_unit["ExecStart"]
        for real, ours in (
                ("/usr/local/bin/zipstream", self.scene.program),
                ("/etc/zipstream/zipstream.env", self.scene.env_file)):
            assert real in line
            line = line.replace(real, str(ours))
        activate = ('export LISTEN_PID=$$ LISTEN_FDS=1; '
                    f'exec "$@" 3<&{self.listener.fileno()}')
        user = {"user": USER, "group": USER} if is_root() else {}
        with open(self.folder / "server.log", "ab") as log:
            process = subprocess.Popen(
                ["bash", "-c", activate, "bash", *shlex.split(line)],
                pass_fds=[self.listener.fileno()], env=self.environment(),
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, **user)
        self.started.append(process)
        self.hear("READY=1")
        return process

    def hear(self, what: str):
        while what not in self.notices.recv(4096).decode():
            pass

    def reload(self, process):
        command = self.service_unit["ExecReload"].replace(
            "$MAINPID", str(process.pid))
        subprocess.run(shlex.split(command), check=True)
        self.hear("RELOADING=1")
        self.hear("READY=1")

    def stop(self, process):
        """KillMode=mixed: the parent alone is told."""
        assert self.service_unit["KillMode"] == "mixed"
        process.terminate()
        self.hear("STOPPING=1")
        assert process.wait(60) == 0

    def close(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
        self.listener.close()
        self.notices.close()


@pytest.fixture
def systemd(scene):
    systemd = Systemd(scene)
    yield systemd
    systemd.close()


@pytest.fixture
def activated(systemd):
    """nginx, as shipped, before the socket that systemd holds."""
    scene = Scene.__new__(Scene)
    scene.__dict__ = {**systemd.scene.__dict__, "pool": systemd.pool}
    server = NginxPool(scene).start()
    yield server
    server.stop()


def keep_asking(port: int, until) -> list:
    """The statuses of one request after the other; 0: none came."""
    said = []
    while not until.is_set():
        try:
            answer = requests.get(f"http://127.0.0.1:{port}/health-check",
                                  timeout=30)
            said.append(answer.status_code)
        except requests.RequestException:
            said.append(0)
    return said


def restart(systemd, process):
    systemd.stop(process)
    return systemd.start()


def overlap(systemd, process):
    """A second copy of the unit, on the same socket."""
    second = systemd.start()
    systemd.stop(process)
    return second


def reload(systemd, process):
    systemd.reload(process)
    return process


@pytest.mark.parametrize("change", [reload, restart, overlap])
def test_no_request_is_lost(systemd, activated, origin, change):
    """While others ask all the time, and one download is in flight."""
    stop = threading.Event()
    process = systemd.start()
    file = origin.file("inflight.bin", size="4m", rate="1m")
    client = Deployment.__new__(Deployment)
    client.__dict__ = {"server": activated, "prefix": "",
                       "folder": systemd.scene.folder}
    try:
        download = in_background(client.zip, [file.entry(size=4 << 20)])
        asked = [in_background(keep_asking, activated.port, stop)
                 for _ in range(4)]
        origin.wait(lambda books: file.books["bytes"] > 100_000)
        process = change(systemd, process)
        judges.check(download.result(60).well(), {"inflight.bin": file.bytes})
        time.sleep(0.3)
    finally:
        stop.set()
    codes = [code for future in asked for code in future.result(60)]
    assert len(codes) > 20 and set(codes) == {200}
    systemd.stop(process)


def test_units_are_well_formed(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze here")
    for name in ("zipstream.service", "zipstream.socket"):
        text = (DEPLOY / "systemd" / name).read_text()
        # What is looked for on this machine must be there.
        text = text.replace("/usr/local/bin/zipstream", "/bin/true")
        text = text.replace("User=zipstream", f"User={USER}")
        text = text.replace("man:zipstream(1) man:zipstream.conf(5)",
                            "man:sh(1)")
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no",
         *map(str, tmp_path.iterdir())],
        capture_output=True, text=True, timeout=60,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"})
    ours = [line for line in done.stderr.splitlines() if "zipstream." in line]
    assert not ours


# -- the container -----------------------------------------------------------


class Image:
    """The last stage of the Dockerfile, laid out in a folder: no engine, but
    the same files, variables, user and command."""

    def __init__(self, root: pathlib.Path, context: pathlib.Path):
        self.root = root
        self.context = context
        self.folder = "/"
        self.env = {}
        self.user = self.command = self.health = ""
        self.packages = set()
        text = (DEPLOY / "docker/Dockerfile").read_text()
        text = re.sub(r"^#.*\n", "", text, flags=re.M)
        stages = re.split(r"^FROM .*\n", re.sub(r"\\\n\s*", " ", text),
                          flags=re.M)
        for line in stages[-1].splitlines():
            word, _, rest = line.partition(" ")
            if word:
                getattr(self, "do_" + word.lower())(rest.strip())

    def do_run(self, text: str):
        self.packages |= set(text.split())

    def do_workdir(self, text: str):
        self.folder = text

    def do_copy(self, text: str):
        source, target = text.split()[-2:]
        if text.startswith("--from=build"):
            assert source == "/src/build/zipstream"
            source = pools.binary()
        to = self.path(target)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.context / source, to)

    def do_env(self, text: str):
        self.env |= dict(word.split("=", 1) for word in shlex.split(text))

    def do_user(self, text: str):
        self.user = text

    def do_volume(self, text: str):
        assert text == self.env["STATE_DIR"]

    def do_expose(self, text: str):
        assert text == self.env["PORT"]

    def do_healthcheck(self, text: str):
        self.health = text.partition("CMD ")[2]

    def do_cmd(self, text: str):
        self.command = re.findall(r'"([^"]*)"', text)

    def path(self, path: str) -> pathlib.Path:
        return self.root / os.path.join(self.folder, path).lstrip("/")


@pytest.fixture
def container(scene):
    folder = new_folder(scene.folder)
    image = Image(folder, web_servers.ROOT)
    state = new_folder(folder)
    env = {**image.env, "PATH": os.environ["PATH"] + ":/usr/sbin",
           "PORT": str(free_port()), "STATE_DIR": str(state),
           "ALLOW_PRIVATE_NETWORKS": "127.0.0.0/8 ::1/128"}
    assert image.user == "zipstream"
    user = {"user": USER, "group": USER} if is_root() else {}
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            image.command, cwd=image.path("."), env=env, stdout=log,
            stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            **user)
    image.process, image.env = process, env
    image.log = folder / "log"
    yield image
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def test_container_serves_and_stops(container, origin, tmp_path):
    def healthy() -> bool:
        assert container.process.poll() is None, container.log.read_text()
        return subprocess.run(["sh", "-c", container.health], timeout=10,
                              env=container.env, capture_output=True
                              ).returncode == 0

    wait_until(healthy, "its health", 30)
    url = f"http://127.0.0.1:{container.env['PORT']}/bundle"
    file = origin.file("c.bin", size="1m")
    answer = requests.post(url, json={"files": [file.entry()]}, timeout=30)
    assert answer.status_code == 200, answer.text
    (tmp_path / "c.zip").write_bytes(answer.content)
    judges.check(tmp_path / "c.zip", {"c.bin": file.bytes})
    refused = requests.post(url, timeout=30, json={
        "files": [{"src": "file:///hello.txt"}]})
    assert refused.status_code == 400, "its own files are no sources"
    container.process.terminate()
    assert container.process.wait(30) in (0, -signal.SIGTERM, 143)


def test_container_has_the_libraries():
    image = Image(new_folder(), web_servers.ROOT)
    needed = subprocess.run(["readelf", "-d", pools.binary()], text=True,
                            check=True, capture_output=True).stdout
    libraries = re.findall(r"NEEDED.*\[(.*)\]", needed)
    owners = subprocess.run(["dpkg", "-S", *libraries], text=True,
                            capture_output=True, check=True).stdout
    found = re.findall(r"^([^:]+)(?::\w+)?: .*/([^/\n]+)$", owners, re.M)
    # Those that are in every image, and those of the sanitizers.
    base = re.compile(r"libc6|libgcc-s1|lib(a|ub)san\d+")
    for library in libraries:
        packages = {p for p, name in found if name == library}
        assert (packages & image.packages
                or any(map(base.fullmatch, packages))), library
    shutil.rmtree(image.root)
