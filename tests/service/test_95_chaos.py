# SPDX-License-Identifier: AGPL-3.0-or-later
"""Everything at once, for real: clients ask, and workers are killed, settings
reloaded, pools replaced, origins and databases taken away, disks filled,
clocks turned.  What is counted is in chaos.py."""

import collections
import concurrent.futures
import contextlib
import os
import random
import signal
import socket
import subprocess
import time

import pytest

import chaos
import judges
import object_store
import origins
import pool as pools
from pool import wait_until
from postgres import Postgres
from service import Service, in_background

LONG = 100_000
ENOUGH = 10  # answers, or the test has shown nothing; machines may be busy
SECONDS = 3  # of each kind of trouble, in the short form

# Workers come and go faster than anybody would have them.
SETTINGS = {"MIN_SPARE_WORKERS": 4, "MAX_WORKERS": 24, "BUSY_WAIT": "20s",
            "SOURCE_RETRIES": 3, "SOURCE_RESUMES": 3, "STALL_TIMEOUT": "5s",
            "FIRST_BYTE_TIMEOUT": "5s", "DB_TIMEOUT": "2s",
            "LOG_LEVEL": "info",
            # A SIGSEGV of ours is no finding of AddressSanitizer's.
            "ASAN_OPTIONS": "handle_segv=0"}


@pytest.fixture
def crowd_of(origin):
    """Makes a crowd for a service."""
    files = [origin.file(f"{i}", size=size, kind=kind)
             for i, (size, kind) in enumerate(
                 [(100, "text"), ("20k", "random"), ("100k", "text"),
                  ("300k", "random"), ("1m", "random")])]
    return lambda service, **more: chaos.Crowd(service.server.port, files,
                                               **more)


def trouble(act, seconds: float = SECONDS, pause: float = 0.25) -> int:
    """Does it again and again; returns how often."""
    times, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        act()
        times += 1
        time.sleep(pause)
    return times


def kill_one(service, number: int):
    with contextlib.suppress(ProcessLookupError, IndexError):
        os.kill(random.choice(service.pool.workers()), number)


@pytest.mark.deaths
def test_workers_killed_and_settings_reloaded(make_service, crowd_of):
    service = make_service(**SETTINGS)
    with crowd_of(service) as crowd:
        killed = trouble(lambda: kill_one(service, random.choice(
            (signal.SIGKILL, signal.SIGSEGV))))
        broken = crowd.books.answered - crowd.books.well
        trouble(lambda: service.pool.signal(signal.SIGHUP), pause=0.5)
        # A reload costs nobody anything.
        time.sleep(1)
        after = crowd.books.answered - crowd.books.well
    crowd.settle()
    books = crowd.books
    assert books.well > ENOUGH, books.counts
    # Each took its own request with it, and some were idle.
    assert broken <= killed and after - broken <= 1, (killed, books.counts)


class ActivatedPool(pools.Pool):
    """On a socket that outlives it, as systemd would hand it over."""

    def start(self) -> "ActivatedPool":
        if not hasattr(self, "listener"):
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(self.socket))
            self.listener.listen(512)
        number = self.listener.fileno()
        script = ('exec 3<&"$0"; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"')
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", script, str(number), pools.binary(), "serve"],
                cwd=self.state, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, pass_fds=(number,),
                env=pools.environment(self.state, self.settings))
        wait_until(self.is_up, "the activated pool")
        return self


def test_restarts_by_socket_activation_lose_nothing(tmp_path, crowd_of):
    service = Service(tmp_path, SETTINGS)
    service.pool = ActivatedPool(tmp_path, SETTINGS)

    def restart():
        service.pool.stop()
        service.pool.start()

    try:
        service.start()
        with crowd_of(service) as crowd:
            restarts = trouble(restart)
        crowd.settle()
        assert restarts and crowd.books.well > ENOUGH
        assert crowd.books.answered == crowd.books.well, crowd.books.counts
        service.stop()
    finally:
        service.kill()


def test_origin_stopped_and_started(make_service, tmp_path):
    """Held still first, then gone for good."""
    origin = origins.Origin(tmp_path)
    service = make_service(**{**SETTINGS, "SOURCE_RETRIES": 1,
                              "FIRST_BYTE_TIMEOUT": "1s",
                              "STALL_TIMEOUT": "1s"})
    files = [origin.file(str(i), size="200k") for i in range(5)]
    try:
        with chaos.Crowd(service.server.port, files) as crowd:
            for _ in range(2):
                time.sleep(1)
                origin.process.send_signal(signal.SIGSTOP)
                time.sleep(1.5)
                origin.process.send_signal(signal.SIGCONT)
            time.sleep(1)
            well = crowd.books.well
            origin.process.kill()
            time.sleep(1)
        crowd.settle()
        assert well > ENOUGH, crowd.books.counts
        assert set(crowd.books.counts) <= {"well", "502", "broken"}
    finally:
        origin.process.kill()
        origin.process.wait()
        origin.process.stdin.close()


def test_postgres_stopped_and_started(make_service, crowd_of):
    database = Postgres()
    try:
        database.start()
        service = make_service(**SETTINGS, **database.settings)
        with crowd_of(service) as crowd:
            for mode in ("fast", "immediate"):
                time.sleep(1.5)
                database.stop(mode)
                time.sleep(1)
                # Without it: an excuse, and no bundle.
                answer = service.post("/", {"filename": "a", "files": []})
                assert answer.status_code == 503
                database.start()
            time.sleep(1.5)
        crowd.settle()
        assert crowd.books.well > ENOUGH, crowd.books.counts
        assert service.create([])
    finally:
        database.remove()


def test_s3_stopped_and_started(make_service, tmp_path):
    """Whatever is asked for meanwhile is refused, or seen to be cut."""
    swift = object_store.Swift(tmp_path / "swift")
    swift.folder.mkdir()
    try:
        swift.start()
        swift.bucket("chaos")
        files = [chaos.Stored(f"s3://chaos/{i}", os.urandom(200_000))
                 for i in range(5)]
        for file in files:
            swift.put("chaos", file.url.rpartition("/")[2], file.bytes)
        service = make_service(**{**SETTINGS, "SOURCE_RETRIES": 1,
                                  **swift.settings})
        with chaos.Crowd(service.server.port, files) as crowd:
            books = crowd.books
            for _ in range(2):
                served = books.well
                wait_until(lambda: books.well > served + ENOUGH, "zips", 60)
                swift.close()
                refused = books.counts["502"]
                wait_until(lambda: books.counts["502"] > refused,
                           "an excuse", 60)
                swift.open()
            served = books.well
            wait_until(lambda: books.well > served + ENOUGH, "zips again", 60)
        crowd.settle()
        assert set(books.counts) <= {"well", "502", "broken"}, books.counts
    finally:
        swift.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a disk of its own")
def test_disk_full_under_sqlite(make_service, tmp_path):
    """What was acknowledged stays; there is an answer; room mends it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m",
                              "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("no tmpfs to be had")
    try:
        service = make_service(DB_CNXN=disk / "bundles.db", DB_TIMEOUT="1s")
        (disk / "ballast").write_bytes(bytes(1 << 20))
        made, refused = [], 0
        for i in range(400):
            answer = service.post("/", {"filename": "a", "files": [
                {"src": "http://example.com/x", "dst": f"{i}-{j}" + "x" * 200}
                for j in range(50)]})
            if answer.status_code == 201:
                made.append(answer.json())
                continue
            assert answer.status_code == 503, answer.text
            refused += 1
            if refused == 5:
                break
        assert made and refused == 5
        for bundle in made:
            path = f"/{bundle['id']}/{bundle['secret']}"
            assert service.get(path).json() == bundle
        (disk / "ballast").unlink()
        assert service.create([])
        service.stop()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
static volatile long *offset;
__attribute__((constructor)) static void begin(void)
{
	int fd = open(getenv("CLOCK_OFFSET"), O_RDONLY);
	offset = mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
}
int clock_gettime(clockid_t id, struct timespec *t)
{
	static int (*real)(clockid_t, struct timespec *);
	int rc;
	if (!real)
		real = dlsym(RTLD_NEXT, "clock_gettime");
	rc = real(id, t);
	if (id == CLOCK_REALTIME)
		t->tv_sec += *offset;
	return rc;
}
time_t time(time_t *p)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return p ? (*p = t.tv_sec) : t.tv_sec;
}
"""


def test_clock_jumps(make_service, origin, sanitized, tmp_path):
    """Only what means the time of day feels them: not a time-out, not a
    running download."""
    if sanitized:
        pytest.skip("no library comes before AddressSanitizer's")
    library, offset = tmp_path / "clock.so", tmp_path / "offset"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, "-x", "c", "-"],
                   input=CLOCK, text=True, check=True)

    def jump(seconds: int):
        # In place: it is mapped.
        with open(offset, "r+b" if offset.exists() else "wb") as file:
            file.write(seconds.to_bytes(8, "little", signed=True))

    jump(0)
    service = make_service(LD_PRELOAD=library, CLOCK_OFFSET=offset,
                           DATA_LIFETIME="1h", PURGE_INTERVAL="none")
    file = origin.file("x.jpg", size="900k", rate="300k")
    bundle = service.create([file.entry()])
    with in_background(service.fetch, bundle) as download:
        wait_until(lambda: file.books["bytes"], "the download's begin")
        for seconds in (7200, -86400 * 365, 86400 * 365):
            jump(seconds)
            time.sleep(0.3)
            assert service.get("/health-check").status_code == 200
        judges.check(download.result().well(), {"x.jpg": file.bytes})
    assert service.fetch(bundle).status == 404  # expired, a year from now
    jump(-3600)
    assert service.get(f"/{bundle['id']}/{bundle['secret']}").json() == bundle
    jump(0)
    judges.check(service.fetch(bundle).well(), {"x.jpg": file.bytes})


def endurance(service, crowd) -> None:
    """Weighs the workers after a tenth of the requests and at the end."""
    def weigh() -> dict:
        pids = service.pool.workers()
        return {pid: weight for pid in pids if (weight := chaos.weight(pid))}

    with crowd:
        wait_until(lambda: crowd.books.answered > crowd.requests / 4,
                   "the warm-up", 3600)
        early = weigh()
    late = weigh()
    crowd.settle()
    books = crowd.books
    assert books.answered == books.well >= crowd.requests, books.counts
    both = set(early) & set(late)
    assert both, "no worker stayed"
    grown = max(late[pid][0] for pid in both) - max(
        early[pid][0] for pid in both)
    print(dict(books.counts), "own bytes and descriptors:", early, late)
    assert max(late[pid][1] for pid in both) <= max(
        early[pid][1] for pid in both) + 8
    if not pools.sanitized():
        assert grown < 1 << 20, (early, late)


def test_endurance(make_service, crowd_of):
    service = make_service(**{**SETTINGS, "MAX_WORKERS": 6})
    endurance(service, crowd_of(service, requests=800))


@pytest.mark.long
def test_long_endurance(make_service, crowd_of):
    service = make_service(**{**SETTINGS, "MAX_WORKERS": 6,
                              "MAX_REQUESTS": "none"})
    endurance(service, crowd_of(service, requests=LONG))


@pytest.mark.long
@pytest.mark.deaths
def test_long_chaos(make_service, crowd_of):
    service = make_service(**SETTINGS)
    with crowd_of(service, requests=LONG) as crowd:
        while crowd.books.answered < LONG:
            kill_one(service, random.choice((signal.SIGKILL,
                                             signal.SIGSEGV)))
            service.pool.signal(signal.SIGHUP)
            time.sleep(random.uniform(0.1, 2))
    crowd.settle()
    assert crowd.books.well > 0.95 * LONG, crowd.books.counts


@pytest.mark.long
def test_no_writer_starves(make_service):
    """Many who write without a pause: each gets SQLite's lock in its turn."""
    service = make_service(MIN_SPARE_WORKERS=64, MAX_WORKERS=80,
                           BUSY_WAIT="1min", DB_TIMEOUT="3s")
    document = {"filename": "a", "files": [
        {"src": "http://example.com/x", "dst": str(i)} for i in range(300)]}

    def write(_) -> list:
        return [chaos.ask(service.server.port, "POST", "/", document)[0]
                for _ in range(25)]

    with concurrent.futures.ThreadPoolExecutor(64) as crowd:
        statuses = sum(crowd.map(write, range(64)), [])
    assert set(statuses) == {201}, collections.Counter(statuses)


def test_a_great_write_gives_the_log_back(make_service):
    """SQLite's log stays as large as it ever was, unless it is told not to."""
    service = make_service(PURGE_INTERVAL="none")
    files = [{"src": "http://example.com/x", "dst": f"{i}/" + "x" * 190}
             for i in range(60000)]
    service.create(files)
    log = service.folder / "zipstream.db-wal"
    assert log.stat().st_size > 8 << 20
    for _ in range(3):  # a checkpoint, after which the log begins anew
        service.create(files[:5000])
    assert log.stat().st_size <= 8 << 20
