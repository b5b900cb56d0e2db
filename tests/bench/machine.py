# SPDX-License-Identifier: AGPL-3.0-or-later
"""Processes that the benchmark starts, and what the kernel says of them."""

import contextlib
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = ROOT / "build" / "bench"
PROGRAM = pathlib.Path(os.environ.get("ZIPSTREAM", ROOT / "build/zipstream"))
TICK = os.sysconf("SC_CLK_TCK")
WORKERS = 10500  # more than any case asks for


def raise_limits():
    """Descriptors and processes for 10,000 downloads, if we may."""
    for what, wanted in ((resource.RLIMIT_NOFILE, 65536),
                         (resource.RLIMIT_NPROC, 2 * WORKERS)):
        soft, hard = resource.getrlimit(what)
        if resource.RLIM_INFINITY not in (soft, hard):
            with contextlib.suppress(ValueError, PermissionError):
                resource.setrlimit(what, (wanted, max(wanted, hard)))
        soft, hard = resource.getrlimit(what)
        resource.setrlimit(what, (hard, hard))


def build():
    """The tools that are written in C."""
    libraries = {"origin": ["-lssl", "-lcrypto"], "load": ["-lz"],
                 "reference": ["-lz", "-lisal"], "responder": ["-lisal"]}
    OUT.mkdir(parents=True, exist_ok=True)
    for name, links in libraries.items():
        source = HERE / f"{name}.c"
        tool = OUT / name
        if not tool.exists() or tool.stat().st_mtime < source.stat().st_mtime:
            subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-o",
                            tool, source, *links], check=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_for_port(port: int, process: subprocess.Popen):
    for _ in range(500):
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} ended with {process.returncode}; "
                     f"see {OUT}/*.log")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.exit(f"{process.args[0]} does not listen on port {port}")


def stop(process: subprocess.Popen, how=signal.SIGTERM):
    if process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Origin:
    """tests/bench/origin.c, plain or with a certificate of its own."""

    def __init__(self, tls: bool = False):
        self.port = free_port()
        args = [OUT / "origin", str(self.port)]
        self.scheme = "https" if tls else "http"
        if tls:
            args += make_certificate()
        self.process = subprocess.Popen(args)
        wait_for_port(self.port, self.process)

    def url(self, kind: str, size: int, name: str, latency: int = 0) -> str:
        return (f"{self.scheme}://localhost:{self.port}"
                f"/{kind}/{size}/{latency}/{name}")

    def stop(self):
        stop(self.process)


def make_certificate() -> list[pathlib.Path]:
    certificate, key = OUT / "origin.crt", OUT / "origin.key"
    if not certificate.exists():
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
             "-days", "365", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost",
             "-keyout", key, "-out", certificate],
            check=True, stderr=subprocess.DEVNULL)
    return [certificate, key]


LIGHTTPD = """
server.modules = ( "mod_fastcgi", "mod_proxy" )
server.document-root = "{folder}"
server.upload-dirs = ( "{folder}" )
server.errorlog = "{folder}/lighttpd.log"
server.bind = "127.0.0.1"
server.port = {port}
# Two processes: 10,000 downloads take 20,000 descriptors, which is all that
# one may have on some machines.
server.max-worker = 2
server.max-connections = 9900
server.max-fds = 20000
server.listen-backlog = 4096
server.max-keep-alive-requests = 65000
server.stream-response-body = 2
server.max-write-idle = 7200
# Two sockets: in the queue of one, net.core.somaxconn requests can wait (4096).
fastcgi.server = ( "/" => (
	( "socket" => "{socket}",
	  "check-local" => "disable", "fix-root-scriptname" => "enable",
	  "tcp-fin-propagate" => "enable" ),
	( "socket" => "{socket}.2",
	  "check-local" => "disable", "fix-root-scriptname" => "enable",
	  "tcp-fin-propagate" => "enable" )))
# The reference: the same server passing the same file through.
$SERVER["socket"] == "127.0.0.1:{proxy_port}" {{
	fastcgi.server = ()
	proxy.server = ( "" => (( "host" => "127.0.0.1",
		"port" => {origin_port} )))
}}
# Another: a responder that does nothing but pass it through.
$SERVER["socket"] == "127.0.0.1:{bare_port}" {{
	fastcgi.server = ( "/" => (( "socket" => "{folder}/bare.sock",
		"check-local" => "disable" )))
}}
"""


class Service:
    """A pool, and lighttpd in front of it and of the origin."""

    def __init__(self, origin: Origin, **settings: str):
        self.folder = OUT / "service"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.port, self.proxy_port, self.bare_port = (
            free_port() for _ in range(3))
        local = self.folder / "pool.sock"
        environment = {
            "PATH": os.environ["PATH"], "NODE_ENV": "production",
            "STATE_DIR": str(self.folder), "FS_INTERFACES": "https",
            "ALLOW_PRIVATE_NETWORKS": "127.0.0.0/8,::1/128",
            "MAX_WORKERS": str(WORKERS), "DB_INTERFACE": "sqlite",
            **settings}
        if origin.scheme == "https":
            environment["CA_FILE"] = str(OUT / "origin.crt")
        self.log = open(self.folder / "pool.log", "wb")
        subprocess.run([PROGRAM, "init"], env=environment, check=True,
                       cwd=self.folder, stderr=self.log, stdout=self.log)
        self.began = time.monotonic()
        self.pool = subprocess.Popen(
            [PROGRAM, "serve", "--listen", f"unix:{local}",
             "--listen", f"unix:{local}.2"], env=environment,
            cwd=self.folder, stdout=self.log, stderr=self.log)
        config = self.folder / "lighttpd.conf"
        config.write_text(LIGHTTPD.format(
            folder=self.folder, port=self.port, proxy_port=self.proxy_port,
            bare_port=self.bare_port, origin_port=origin.port, socket=local))
        while not local.exists() and self.pool.poll() is None:
            time.sleep(0.02)
        # It passes a signal on to its whole process group.
        self.web = subprocess.Popen(["lighttpd", "-D", "-f", config],
                                    stdout=self.log, stderr=self.log,
                                    start_new_session=True)
        wait_for_port(self.port, self.web)

    def stop(self):
        stop(self.web)
        stop(self.pool, signal.SIGQUIT)
        self.log.close()

    def children(self) -> list[int]:
        path = f"/proc/{self.pool.pid}/task/{self.pool.pid}/children"
        return [int(pid) for pid in pathlib.Path(path).read_text().split()]

    def workers(self) -> list[int]:
        return [pid for pid in self.children()
                if command_name(pid) != "zipstream-keep"]

    def cpu(self) -> float:
        """CPU seconds of the pool and of all its children, dead ones too."""
        fields = stat_fields(self.pool.pid)
        buried = (int(fields[13]) + int(fields[14])) / TICK
        return (buried + run_time(self.pool.pid) +
                sum(map(run_time, self.children())))

    def make_bundle(self, document: dict) -> tuple[str, str]:
        made = post(f"http://127.0.0.1:{self.port}/", document)
        return made["id"], made["secret"]


def command_name(pid: int) -> str:
    """"" of one that has just gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def stat_fields(pid: int) -> list[str]:
    """/proc/PID/stat, from the state on: field 3 of proc(5) comes first."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return text.rpartition(")")[2].split()


def run_time(pid: int) -> float:
    """CPU seconds of a living process; 0 of one that has just gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/schedstat").read_text()
    except OSError:
        return 0.0
    return int(text.split()[0]) / 1e9


def memory(pid: int) -> dict[str, int]:
    """KiB: Rss, Pss, and Private, what the process alone has."""
    found = {}
    try:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return found
    for line in text.splitlines()[1:]:
        name, _, value = line.partition(":")
        found[name] = int(value.split()[0])
    found["Private"] = found["Private_Clean"] + found["Private_Dirty"]
    return found


def peak_rss(pid: int) -> int:
    """KiB."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0])


def write_json(name: str, document: dict) -> pathlib.Path:
    path = OUT / name
    path.write_text(json.dumps(document))
    return path


def post(url: str, document: dict) -> dict:
    answer = subprocess.run(
        ["curl", "-sS", "--fail", "--noproxy", "*", "-H",
         "Content-Type: application/json", "--data-binary",
         f"@{write_json('post.json', document)}", url],
        check=True, capture_output=True)
    return json.loads(answer.stdout)


def load(*args) -> dict:
    done = subprocess.run([OUT / "load", *map(str, args)], check=True,
                          stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def start_load(*args) -> subprocess.Popen:
    return subprocess.Popen([OUT / "load", *map(str, args)],
                            stdout=subprocess.PIPE)


def finish_load(process: subprocess.Popen) -> dict:
    return json.loads(process.communicate()[0])


class Responder:
    """tests/bench/responder.c, behind the service's web server."""

    def __init__(self, service: Service, origin: Origin, url: str, size: int):
        self.url = f"http://127.0.0.1:{service.bare_port}/"
        local = service.folder / "bare.sock"
        path = url.split("/", 3)[3]
        self.process = subprocess.Popen(
            [OUT / "responder", local, str(origin.port), path, str(size)],
            stdout=subprocess.PIPE, text=True)
        while not local.exists() and self.process.poll() is None:
            time.sleep(0.02)

    def get(self) -> tuple[float, float]:
        """Seconds of wall and of the responder's CPU."""
        wall = curl("-o", "/dev/null", self.url)[0]
        return wall, float(self.process.stdout.readline())

    def stop(self):
        stop(self.process)


def reference(*args) -> dict:
    done = subprocess.run([OUT / "reference", *map(str, args)], check=True,
                          stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def curl(*args) -> tuple[float, float]:
    """Seconds of wall and of CPU."""
    began = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["curl", "-sS", "--fail", "--noproxy", "*", *args],
                   check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (time.monotonic() - began, after.ru_utime - before.ru_utime +
            after.ru_stime - before.ru_stime)
