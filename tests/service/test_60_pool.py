# SPDX-License-Identifier: AGPL-3.0-or-later
"""The pool under signals, crashes and load: what is in flight comes through,
and a worker takes one request with it at most."""

import concurrent.futures
import contextlib
import os
import resource
import signal
import socket
import threading
import time

import pytest
import requests

import fastcgi
import judges
import network
import pool as pools
from pool import wait_until
from scripted import Scripted
from servers import free_port
from service import in_background

# A download that takes some three seconds.
SLOW = {"size": "900k", "rate": "300k", "type": "image/jpeg"}


def started(origin, *files):
    """Waits until the sources of these downloads are being read."""
    wait_until(lambda: all(f.books["bytes"] for f in files),
               "the download's begin")


@contextlib.contextmanager
def traffic(service, threads: int = 4):
    """Short requests all the while; yields their statuses."""
    statuses, over = [], threading.Event()

    def ask():
        while not over.is_set():
            try:
                statuses.append(service.get("/health-check").status_code)
            except requests.RequestException as error:
                statuses.append(error)

    with concurrent.futures.ThreadPoolExecutor(threads) as executor:
        asking = [executor.submit(ask) for _ in range(threads)]
        try:
            yield statuses
        finally:
            over.set()
    for future in asking:
        future.result()


def busy_worker(service, port: int) -> int:
    """The worker that has a connection to the origin."""
    def find():
        return [pid for pid in service.pool.workers()
                if has_peer(pid, port)]

    found = wait_until(find, "a worker that reads a source")
    assert len(found) == 1
    return found[0]


def has_peer(pid: int, port: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        inodes = {os.readlink(f"/proc/{pid}/fd/{fd}")
                  for fd in os.listdir(f"/proc/{pid}/fd")
                  if os.path.islink(f"/proc/{pid}/fd/{fd}")}
        with open("/proc/net/tcp") as table:
            next(table)
            for line in table:
                columns = line.split()
                if (int(columns[2].split(":")[1], 16) == port
                        and f"socket:[{columns[9]}]" in inodes):
                    return True
    return False


def test_sigterm_lets_downloads_finish(make_service, origin):
    service = make_service()
    file = origin.file("x.jpg", **SLOW)
    with in_background(service.zip, [file.entry()]) as download:
        started(origin, file)
        service.pool.signal(signal.SIGTERM)
        # Nobody new gets in.
        wait_until(lambda: service.get("/health-check").status_code == 503,
                   "the closed door")
        assert not download.done()
        judges.check(download.result().well(), {"x.jpg": file.bytes})
    service.pool.wait()
    assert not service.pool.socket.exists()


def test_second_sigterm_ends_at_once(make_service, origin):
    service = make_service()
    file = origin.file("x.jpg", size="10g", rate="1m", type="image/jpeg")
    with in_background(service.zip, [file.entry()]) as download:
        started(origin, file)
        service.pool.signal(signal.SIGTERM)
        wait_until(lambda: service.get("/health-check").status_code == 503,
                   "the closed door")
        service.pool.signal(signal.SIGTERM)
        download.result(30).cut()
    service.pool.wait()


def test_drain_has_an_end(make_service, origin):
    service = make_service(DRAIN_TIMEOUT="1s")
    file = origin.file("x.jpg", size="10g", rate="1m", type="image/jpeg")
    with in_background(service.zip, [file.entry()]) as download:
        started(origin, file)
        service.pool.signal(signal.SIGTERM)
        download.result(30).cut()
    service.pool.wait()


def test_sigint_is_as_sigterm(make_service):
    service = make_service()
    service.pool.signal(signal.SIGINT)
    service.pool.wait()


def origin_of(service) -> str:
    return service.get("/health-check").headers[
        "Access-Control-Allow-Origin"]


def test_sighup_takes_new_settings_and_loses_nothing(
        make_service, origin, tmp_path):
    config = tmp_path / "zipstream.conf"
    config.write_text("CORS_ORIGIN=https://one.example\n")
    service = make_service(config)
    assert origin_of(service) == "https://one.example"
    old = set(service.pool.workers())
    file = origin.file("x.jpg", **SLOW)
    with traffic(service) as statuses, in_background(
            service.zip, [file.entry()]) as download:
        started(origin, file)
        for name in ("two", "three"):
            config.write_text(f"CORS_ORIGIN=https://{name}.example\n")
            service.pool.signal(signal.SIGHUP)
            wait_until(lambda: origin_of(service)
                       == f"https://{name}.example", "the new settings")
        judges.check(download.result().well(), {"x.jpg": file.bytes})
    assert len(statuses) > 20 and set(statuses) == {200}
    wait_until(lambda: not old & set(service.pool.workers()),
               "the old workers' leave")


def test_sighup_with_bad_settings_keeps_the_old_ones(make_service, tmp_path):
    config = tmp_path / "zipstream.conf"
    config.write_text("CORS_ORIGIN=https://one.example\n")
    service = make_service(config)
    config.write_text("CORS_ORIGIN=https://two.example\nMAX_FILES=many\n")
    service.pool.signal(signal.SIGHUP)
    wait_until(lambda: "MAX_FILES" in service.pool.log(), "the complaint")
    for _ in range(5):
        assert origin_of(service) == "https://one.example"


@pytest.mark.deaths
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGABRT])
def test_worker_that_dies_takes_one_download(make_service, origin, how):
    service = make_service()
    port = origin.ports["http"]
    doomed = origin.file("x.jpg", size="10g", rate="1m", type="image/jpeg")
    with in_background(service.zip, [doomed.entry()]) as broken:
        started(origin, doomed)
        victim = busy_worker(service, port)
        other = origin.file("y.jpg", **SLOW)
        with in_background(service.zip, [other.entry()]) as whole:
            started(origin, other)
            os.kill(victim, how)
            got = broken.result(30)
            assert got.exit != 0 and got.status == 200
            judges.check(whole.result().well(), {"y.jpg": other.bytes})
    assert service.get("/health-check").status_code == 200
    assert victim not in service.pool.workers()


@pytest.mark.deaths
def test_killed_idle_workers_are_replaced(make_service):
    service = make_service()
    for _ in range(3):
        old = service.pool.workers()
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: set(service.pool.workers()) - set(old),
                   "new workers")
        assert wait_until(lambda: service.get("/health-check").ok, "health")


@pytest.mark.deaths
def test_workers_killed_under_load(make_service):
    service = make_service(MIN_SPARE_WORKERS=4)
    killed = 0
    with traffic(service) as statuses:
        for _ in range(10):
            os.kill(service.pool.workers()[0], signal.SIGKILL)
            killed += 1
            time.sleep(0.2)
    lost = [s for s in statuses if s != 200]
    assert len(lost) <= killed, lost
    assert len(statuses) > 20


def test_full_pool_says_so(make_service, origin):
    service = make_service(MAX_WORKERS=2, BUSY_WAIT="200ms")
    files = [origin.file(f"{i}.jpg", **SLOW) for i in range(2)]
    with in_background(service.zip, [files[0].entry()]) as one, \
            in_background(service.zip, [files[1].entry()]) as two:
        started(origin, *files)
        answer = service.get("/health-check", timeout=20)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.json()["message"]
        # Not by its web server: the pool itself has answered.
        assert not one.done() or not two.done()
        for download, file in ((one, files[0]), (two, files[1])):
            judges.check(download.result().well(), {file.dst: file.bytes})
    for _ in range(5):
        assert service.get("/health-check").status_code == 200


def test_short_wait_is_no_refusal(make_service, origin):
    """One worker, ten requests at once: they queue."""
    service = make_service(MAX_WORKERS=1, MIN_SPARE_WORKERS=1,
                           BUSY_WAIT="20s")
    with concurrent.futures.ThreadPoolExecutor(10) as executor:
        answers = list(executor.map(
            lambda _: service.get("/health-check").status_code, range(50)))
    assert answers == [200] * 50


def test_pool_grows_with_the_load(make_service, origin):
    service = make_service(MIN_SPARE_WORKERS=1)
    files = [origin.file(f"{i}.jpg", **SLOW) for i in range(12)]
    with concurrent.futures.ThreadPoolExecutor(12) as executor:
        downloads = [executor.submit(service.zip, [f.entry()])
                     for f in files]
        started(origin, *files)
        assert len(service.pool.workers()) >= 12
        for download, file in zip(downloads, files):
            judges.check(download.result().well(), {file.dst: file.bytes})


def test_pool_shrinks_after_a_storm(make_service, origin):
    """Not at once, and not below its spare workers and some more."""
    service = make_service(MIN_SPARE_WORKERS=1)
    files = [origin.file(f"{i}.jpg", **SLOW) for i in range(20)]
    with concurrent.futures.ThreadPoolExecutor(20) as executor:
        downloads = [executor.submit(service.zip, [f.entry()])
                     for f in files]
        started(origin, *files)
        most = len(service.pool.workers())
        for download in downloads:
            download.result().well()
    assert most >= 20
    wait_until(lambda: len(service.pool.workers()) < most, "the first leave")
    assert service.get("/health-check").status_code == 200
    assert "died" not in service.pool.log()


@pytest.mark.deaths
@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes its user")
def test_workers_that_cannot_start_are_not_forked_at_full_speed(
        make_service, tmp_path):
    config = tmp_path / "zipstream.conf"
    config.write_text("")
    service = make_service(config)
    config.write_text("RUN_USER=nobody-at-all\n")
    service.pool.signal(signal.SIGHUP)
    wait_until(lambda: "no new worker for 1600 ms" in service.pool.log(),
               "the fifth failure")
    for ms in (100, 200, 400, 800):
        assert f"no new worker for {ms} ms" in service.pool.log()
    assert service.pool.log().count("cannot start: RUN_USER") < 10
    config.write_text("")
    service.pool.signal(signal.SIGHUP)
    wait_until(lambda: service.get("/health-check").status_code == 200,
               "workers again", 40)


def test_many_at_once(service, origin):
    """A hundred downloads side by side, none of them another's."""
    files = [origin.file(f"{i}", size=200_000 + i) for i in range(100)]
    with concurrent.futures.ThreadPoolExecutor(50) as executor:
        downloads = executor.map(lambda f: service.zip([f.entry()]), files)
        for download, file in zip(downloads, files):
            judges.check(download.well(), {file.dst: file.bytes})


def test_workers_are_renewed(make_service):
    service = make_service(MAX_REQUESTS=5)
    old = set(service.pool.workers())
    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        answers = list(executor.map(
            lambda _: service.get("/health-check").status_code, range(100)))
    assert answers == [200] * 100
    wait_until(lambda: not old & set(service.pool.workers()), "the renewal")


def test_stale_socket_is_replaced(make_service):
    service = make_service()
    service.pool.kill()
    assert service.pool.socket.exists()
    service.pool.start()
    wait_until(lambda: service.get("/health-check").status_code == 200,
               "health")


@pytest.mark.deaths
def test_pool_that_was_killed_is_replaced_at_once(make_service, origin):
    """Its worker that still streams keeps the socket, and finishes."""
    service = make_service()
    slow = origin.file("a.jpg", **SLOW)
    with in_background(service.zip, [slow.entry()]) as download:
        started(origin, slow)
        os.kill(service.pool.pid, signal.SIGKILL)
        service.pool.process.wait(10)
        service.pool.start()
        wait_until(lambda: service.get("/health-check").status_code == 200,
                   "health")
        assert not download.done()
        judges.check(download.result().well(), {"a.jpg": slow.bytes})


def test_socket_of_the_living_is_left_alone(make_service):
    service = make_service()
    second = pools.program(service.folder, "serve", "--listen",
                           f"unix:{service.pool.socket}")
    assert second.returncode == 1 and second.stderr
    assert service.get("/health-check").status_code == 200


def is_refused(place: tuple) -> bool:
    with contextlib.suppress(ConnectionRefusedError):
        socket.create_connection(place).close()
        return False
    return True


def test_it_listens_wherever_it_is_told_to(tmp_path):
    pool = pools.Pool(tmp_path)
    hosts = {"127.0.0.1": "127.0.0.1", "127.0.0.2": "127.0.0.2"}
    if network.has_ipv6():
        hosts["::1"] = "[::1]"
    places = [(host, free_port()) for host in hosts]
    pool.addresses += [f"{hosts[host]}:{port}" for host, port in places]
    pool.start()
    try:
        for place in 3 * [pool.socket, *places]:
            connect = (fastcgi.connect if place is pool.socket
                       else socket.create_connection)
            with connect(place) as sock:
                sock.settimeout(30)
                sock.sendall(fastcgi.head(fastcgi.GET)
                             + fastcgi.record(fastcgi.STDIN))
                text, ended = fastcgi.answer(sock)
            assert text.endswith("\r\n\r\nOK") and ended
        pool.stop()
    finally:
        pool.kill()
    for place in places:
        wait_until(lambda: is_refused(place), "the end of its socket")


@pytest.mark.deaths
def test_workers_do_not_outlive_their_parent(make_service):
    service = make_service()
    workers = service.pool.workers()
    os.kill(service.pool.pid, signal.SIGKILL)
    service.pool.process.wait(10)
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}")
                               for pid in workers), "the workers' end")


def test_memory_and_descriptors_stay_flat(make_service, origin):
    """Some hundred mixed requests through one worker."""
    service = make_service(MAX_WORKERS=1, MIN_SPARE_WORKERS=1,
                           BUSY_WAIT="20s")
    good = origin.file("good", kind="text", size="100k")
    bad = origin.file("bad", status=404)

    def round_of_requests():
        service.zip([good.entry()]).well()
        service.zip([good.entry(), bad.entry()]).refused()
        bundle = service.create([good.entry()])
        service.fetch(bundle).well()
        service.call("DELETE", f"/{bundle['id']}/{bundle['secret']}")
        service.post("/", {"nothing": 1})

    def descriptors():
        return len(os.listdir(f"/proc/{worker}/fd"))

    # The parent's purge at the start is a child for a moment, too.
    wait_until(lambda: len(service.pool.workers()) == 1, "the one worker")
    (worker,) = service.pool.workers()
    for _ in range(10):
        round_of_requests()
    before = descriptors(), pools.memory_peak(worker)
    for _ in range(30):
        round_of_requests()
    assert service.pool.workers() == [worker]
    assert descriptors() <= before[0] + 2
    if not pools.sanitized():
        assert pools.memory_peak(worker) < before[1] + (1 << 20)


def test_few_descriptors_are_enough(make_service):
    """Connections that are kept for later leave some for the database."""
    sources = [Scripted(lambda _: (200, {}, b"x" * 100)) for _ in range(70)]
    service = make_service(MIN_SPARE_WORKERS=1, MAX_WORKERS=1)
    resource.prlimit(service.pool.pid, resource.RLIMIT_NOFILE, (64, 64))
    service.pool.signal(signal.SIGHUP)
    wait_until(lambda: "generation 2" in service.pool.log(), "the reload")
    files = [{"src": source.url.replace("127.0.0.1", "localhost") + "/x",
              "dst": f"{i}.jpg"} for i, source in enumerate(sources)]
    for _ in range(2):
        judges.check(service.zip(files).well(),
                     {f["dst"]: b"x" * 100 for f in files})
        assert service.create(files)
    with concurrent.futures.ThreadPoolExecutor(len(sources)) as crowd:
        list(crowd.map(Scripted.stop, sources))
