# SPDX-License-Identifier: AGPL-3.0-or-later
"""The cases: each measures the service beside its reference and yields rows."""

import contextlib
import pathlib
import statistics
import subprocess
import time
import zlib
from dataclasses import dataclass

import machine
from machine import OUT, Origin, Service

GIB = 1 << 30
MIB = 1 << 20
KIB = 1 << 10


@dataclass
class Row:
    case: str
    what: str
    ours: float
    reference: float | None  # in the same unit, from the same run
    unit: str
    target: float | None = None  # for `ours`, or for the ratio if there is one
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.ours / self.reference if self.reference else None

    @property
    def of_target(self) -> float | None:
        if self.target is None:
            return None
        return (self.ours if self.ratio is None else self.ratio) / self.target


@contextlib.contextmanager
def running(*, tls: bool = False, **settings):
    origin = Origin(tls)
    try:
        service = Service(origin, **settings)
        try:
            yield origin, service
        finally:
            service.stop()
    finally:
        origin.stop()


def bundle_of(*urls: str, **more) -> dict:
    return {"filename": "bench.zip", "files": [{"src": u} for u in urls],
            **more}


def post_zip(service: Service, document: dict) -> float:
    """Seconds; curl, for the document may be large."""
    body = machine.write_json("bundle.json", document)
    return machine.curl(
        "-o", "/dev/null", "-H", "Content-Type: application/json",
        "--data-binary", f"@{body}",
        f"http://127.0.0.1:{service.port}/bundle")[0]


def in_turn(rounds: int, *runs) -> list[tuple[float, ...]]:
    """Runs that are to be compared, side by side, so that whatever else the
    machine does hits them alike; medians."""
    return [tuple(map(statistics.median, zip(*results)))
            for results in zip(*([run() for run in runs]
                                 for _ in range(rounds)))]


def stored(rounds: int = 3):
    """1 GiB that does not compress."""
    with running() as (origin, service):
        url = origin.url("noise", GIB, "big.bin")
        pattern = OUT / "noise.bin"
        machine.curl("-o", pattern, origin.url("noise", 16 * MIB, "x"))
        document = bundle_of(url)

        def ours():
            before = service.cpu()
            return post_zip(service, document), service.cpu() - before

        def proxied():
            return machine.curl(
                "-o", "/dev/null",
                url.replace(str(origin.port), str(service.proxy_port)))

        def bare():
            crc = machine.reference("crc", pattern, GIB)["cpu"]
            return machine.curl("-o", "/dev/null", url)[1] + crc,

        responder = machine.Responder(service, origin, url, GIB)
        try:
            (wall, cpu), (proxy_wall, _), (bare_cpu,), (least_wall, least) = (
                in_turn(rounds, ours, proxied, bare, responder.get))
        finally:
            responder.stop()
    yield Row("stored", "1 GiB stored / lighttpd proxying it", wall,
              proxy_wall, "s", 1.2)
    yield Row("stored", "1 GiB stored / the least responder", wall,
              least_wall, "s")
    yield Row("stored", "worker CPU / curl and a bare CRC-32", cpu, bare_cpu,
              "s CPU", 1.5)
    yield Row("stored", "worker CPU / the least responder's", cpu, least,
              "s CPU")


def small(rounds: int = 3):
    """1,000 files of 10 KB, some way off."""
    with running() as (origin, service):
        for latency in 0, 20, 50:
            urls = [origin.url("noise", 10000, f"{i}.bin", latency)
                    for i in range(1000)]
            listing = OUT / "curl.list"
            listing.write_text("".join(
                f'url = "{u}"\noutput = "/dev/null"\n' for u in urls))
            document = bundle_of(*urls)
            (wall,), (window,) = in_turn(
                rounds, lambda d=document: (post_zip(service, d),),
                lambda: (machine.curl("-Z", "--no-progress-meter",
                                      "--parallel-max", "16",
                                      "-K", listing)[0],))
            one_by_one = machine.curl("-K", listing)[0]
            if latency > 0:
                # What 16 at a time can do at best.
                ideal = max(window, 1000 / 16 * latency / 1000)
                yield Row("small", f"1,000 files, {latency} ms / a window of "
                          "16", wall, ideal, "s", 1.3)
            yield Row("small", f"1,000 files, {latency} ms / one by one",
                      wall, one_by_one, "s",
                      2 / 21 if latency == 20 else None)


def text(rounds: int = 3):
    """100 MB of log lines."""
    size = 100 * 1000 * 1000
    with running() as (origin, service):
        pattern = OUT / "text.log"
        machine.curl("-o", pattern, origin.url("text", 16 * MIB, "x"))
        document = bundle_of(origin.url("text", size, "access.log"))
        zipped = OUT / "text.zip"
        body = machine.write_json("bundle.json", document)

        def ours():
            before = service.cpu()
            machine.curl("-o", zipped, "-H", "Content-Type: application/json",
                         "--data-binary", f"@{body}",
                         f"http://127.0.0.1:{service.port}/bundle")
            return service.cpu() - before,

        def deflated(name, level):
            done = machine.reference(name, level, pattern, size)
            return done["cpu"], done["bytes"]

        (cpu,), (slow, slow_size), (fast, fast_size) = in_turn(
            rounds, ours, lambda: deflated("zlib", 6),
            lambda: deflated("igzip", 1))
        made = zipped.stat().st_size
    yield Row("text", "100 MB of text / zlib -6 alone", cpu, slow, "s CPU",
              0.25, f"size {made / slow_size:.2f}")
    yield Row("text", "100 MB of text / igzip alone", cpu, fast, "s CPU", None,
              f"size {made / fast_size:.2f}")


def slow_memory():
    """What 1,000 slow downloads hold, and a worker without one."""
    for tls, limit in (False, 1024), (True, 2048):
        with running(tls=tls) as (origin, service):
            if not tls:
                time.sleep(1)
                yield from memory_rows("an idle worker", service, None)
            service_id, _ = service.make_bundle(
                bundle_of(origin.url("noise", 64 * MIB, "big.bin")))
            yield from slow_rows(f"{origin.scheme}, one file", service,
                                 service_id, limit)
            many = [origin.url("noise", 8 * MIB, f"{i}.bin")
                    for i in range(64)]
            service_id, _ = service.make_bundle(bundle_of(*many))
            yield from slow_rows(f"{origin.scheme}, 64 files", service,
                                 service_id, limit)


def wait_for_workers(service, count):
    """At most a minute: a busy machine forks slowly."""
    for _ in range(60):
        time.sleep(1)
        if len(service.workers()) >= count:
            break
    time.sleep(2)


def time_to_workers(service, count) -> float:
    """Seconds from the pool's start until so many workers are there."""
    while len(service.workers()) < count and time.monotonic() < \
            service.began + 60:
        time.sleep(0.005)
    return time.monotonic() - service.began


def slow_rows(name, service, service_id, limit):
    clients = machine.start_load("-n", 1000, "-a", 200, "-r", 8192,
                                 service.port, f"/{service_id}/")
    wait_for_workers(service, 1000)
    yield from memory_rows(f"{name}: a slow download", service, limit)
    clients.kill()
    clients.wait()
    time.sleep(3)


def memory_rows(name, service, limit):
    found = [m for m in map(machine.memory, service.workers()) if m]
    private = statistics.median(m["Private"] for m in found)
    yield Row("memory", f"{name}, private", private / KIB, None, "MiB",
              limit and limit / KIB,
              f"{len(found)} workers, at most "
              f"{max(m['Private'] for m in found) / KIB:.2f}; PSS "
              f"{statistics.mean(m['Pss'] for m in found) / KIB:.2f}")


def entries(count: int = 70000):
    """More entries than a zip without ZIP64 can have."""
    with running(MAX_FILES="100000") as (origin, service):
        before = set(service.workers())
        wall = post_zip(service, bundle_of(*(
            origin.url("noise", 100, f"{i}.bin") for i in range(count))))
        peak = max(map(machine.peak_rss, before & set(service.workers())))
    yield Row("entries", f"{count:,} entries, worker at its peak",
              peak / KIB, None, "MiB", 64)
    yield Row("entries", f"{count:,} entries, time", wall, None, "s")


def first_byte():
    """Of a small zip, beside the same server proxying the same small file."""
    with running() as (origin, service):
        url = origin.url("noise", 10000, "a.bin")
        bundle, _ = service.make_bundle(bundle_of(url))
        machine.load(service.port, f"/{bundle}/")
        path = "/" + url.split("/", 3)[3]
        (ours,), (proxied,) = in_turn(
            3, lambda: (machine.load("-s", 2, service.port,
                                     f"/{bundle}/")["first_ms_p50"],),
            lambda: (machine.load("-s", 2, service.proxy_port,
                                  path)["first_ms_p50"],))
    yield Row("first byte", "first byte / lighttpd proxying the file", ours,
              proxied, "ms")


@contextlib.contextmanager
def postgres():
    """The connection string of a server of our own; None where there is no
    PostgreSQL."""
    programs = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        yield None
        return
    folder, port = pathlib.Path("/tmp") / "zipstream-bench-pg", \
        machine.free_port()
    as_user = ["runuser", "-u", "postgres", "--"] \
        if pathlib.Path("/root").owner() == pathlib.Path.home().owner() else []
    subprocess.run(["rm", "-rf", folder], check=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL,
             "cwd": "/"}
    subprocess.run([*as_user, programs[-1] / "initdb", "-D", folder, "-A",
                    "trust", "-U", "bench"], check=True, **quiet)
    server = subprocess.Popen(
        [*as_user, programs[-1] / "postgres", "-D", folder, "-p", str(port),
         "-k", folder, "-h", ""], **quiet)
    ready = [programs[-1] / "pg_isready", "-q", "-h", folder, "-p", str(port)]
    while subprocess.run(ready).returncode != 0 and server.poll() is None:
        time.sleep(0.1)
    try:
        yield f"host={folder} port={port} user=bench dbname=postgres"
    finally:
        machine.stop(server)
        subprocess.run(["rm", "-rf", folder], check=True)


def api(seconds: int = 4):
    """JSON requests of 16 clients."""
    with postgres() as connection:
        stores = {"sqlite": {"DB_INTERFACE": "sqlite"}}
        if connection:
            stores["postgres"] = {"DB_INTERFACE": "postgres",
                                  "DB_CNXN": connection}
        for name, settings in stores.items():
            with running(MIN_SPARE_WORKERS="16", **settings) as (origin,
                                                                 service):
                document = bundle_of(
                    *(origin.url("noise", 10000, f"{i}.bin")
                      for i in range(10)))
                body = machine.write_json("bundle.json", document)
                bundle, secret = service.make_bundle(document)
                runs = {
                    "health-check": ["/health-check"],
                    "read a bundle": [f"/{bundle}/{secret}/"],
                    "make a bundle": ["/"],
                }
                for what, path in runs.items():
                    more = ["-b", body] if what.startswith("make") else []
                    got = machine.load("-n", 16, "-s", seconds, *more,
                                       service.port, *path)
                    yield Row("API", f"{name}: {what}",
                              got["done"] / got["seconds"], None,
                              "requests/s", None,
                              f"{got['failed']} failed" if got["failed"]
                              else "")


def crowd(clients: int = 10000, size: int = MIB, rate: int = 16384):
    """All at once through one web server, a thousand more in each second."""
    spare = min(clients, 1000)
    with running(MIN_SPARE_WORKERS=str(spare),
                 LOG_LEVEL="warn") as (origin, service):
        born = time_to_workers(service, spare)
        bundle, _ = service.make_bundle(
            bundle_of(origin.url("noise", size, "a.bin")))
        whole = OUT / "crowd.zip"
        for _ in range(2):  # the second one knows the CRC-32
            machine.curl("-o", whole,
                         f"http://127.0.0.1:{service.port}/{bundle}/")
        subprocess.run(["unzip", "-tqq", whole], check=True)
        data = whole.read_bytes()
        before = service.cpu()
        loader = machine.start_load(
            "-n", clients, "-a", 1000, "-r", rate, "-l", len(data), "-c",
            f"{zlib.crc32(data):08x}", service.port, f"/{bundle}/")
        time.sleep(clients / 1000 + 10)
        found = [m for m in map(machine.memory, service.workers()) if m]
        got = machine.finish_load(loader)
        cpu = service.cpu() - before
    bad = got["failed"] + got["wrong"] + got["unfinished"]
    why = f", first: {got['why']}" if got["why"] else ""
    yield Row("crowd", f"{clients:,} downloads at once: failed or wrong", bad,
              None, "", 0.5, f"{got['done']} whole, {got['peak']} open at "
              f"once, {len(found)} workers{why}")
    yield Row("crowd", f"{spare:,} workers forked", born, None, "s", 1)
    yield Row("crowd", "PSS of a worker",
              statistics.mean(m["Pss"] for m in found) / KIB, None, "MiB")
    yield Row("crowd", "private memory of a worker",
              statistics.median(m["Private"] for m in found) / KIB, None,
              "MiB", 1)
    yield Row("crowd", "CPU of the pool, per GB", cpu / got["bytes"] * 1e9,
              None, "s")
    yield Row("crowd", "first byte, median", got["first_ms_p50"], None, "ms")
    yield Row("crowd", "first byte, 99th percentile", got["first_ms_p99"],
              None, "ms")


ALL = {"stored": stored, "small": small, "text": text, "memory": slow_memory,
       "entries": entries, "first-byte": first_byte, "api": api,
       "crowd": crowd}
