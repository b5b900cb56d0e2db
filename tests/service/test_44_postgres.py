# SPDX-License-Identifier: AGPL-3.0-or-later
"""PostgreSQL beyond the life-cycle, with and without PgBouncer: the back end
from inside, a server that goes away and comes back, memory, TLS.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse

import pool as pools
import pytest
import servers
from service import in_background

direct = pytest.mark.parametrize("store", ["postgres"], indirect=True)
both = pytest.mark.parametrize("store", ["postgres", "pgbouncer"],
                               indirect=True)


@both
@pytest.mark.parametrize("name, groups", [
    ("test_store", 2), ("test_store_postgres", 1)])
def test_units(store, name, groups):
    """Those that `make check-unit` cannot run, for want of a server."""
    done = subprocess.run(
        [pools.unit(name)], text=True, timeout=120,
        capture_output=True, cwd=pools.ROOT,
        env={**os.environ, "ZIPSTREAM_TEST_PG": store.settings["DB_CNXN"]})
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    assert done.stderr.count("PASSED") == groups


def path(bundle: dict) -> str:
    return f"/{bundle['id']}/{bundle['secret']}"


def refused(service, bundle: dict):
    """Soon, by a 503."""
    began = time.monotonic()
    answer = service.get(path(bundle))
    assert answer.status_code == 503, answer.text
    assert time.monotonic() - began < 10


def recovered(service, bundle: dict):
    pools.wait_until(lambda: service.get(path(bundle)).status_code == 200,
                     "the recovery")
    assert service.get(path(bundle)).json() == bundle


@both
def test_a_server_that_goes_away_and_comes_back(make_service, store):
    service = make_service(**store.settings, DB_TIMEOUT="2s")
    bundle = service.create([])
    for mode in ("fast", "immediate"):
        store.server.stop(mode)
        for _ in range(4):
            refused(service, bundle)
        store.server.start()
        recovered(service, bundle)


@both
def test_a_server_that_falls_silent(make_service, store):
    service = make_service(**store.settings, DB_TIMEOUT="1s")
    bundle = service.create([])
    store.server.signal(signal.SIGSTOP)
    try:
        for _ in range(2):
            refused(service, bundle)
    finally:
        store.server.signal(signal.SIGCONT)
    recovered(service, bundle)


@both
def test_a_hundred_thousand_files(make_service, store, sanitized):
    """Read by a cursor: the answer of the server is never there at once."""
    settings = {**store.settings, "MAX_WORKERS": 1, "MAX_FILES": 100_000,
                "MAX_BODY": "64m"}
    files = [{"src": f"http://example.com/{i}", "dst": f"folder/{i}.txt"}
             for i in range(100_000)]
    first = make_service(**settings)
    bundle = first.create(files)
    first.stop()
    service = make_service(**settings)
    assert service.get(path(bundle)).json() == bundle
    (worker,) = service.pool.workers()
    if not sanitized:
        assert pools.memory_peak(worker) < 32 << 20
    service.call("DELETE", path(bundle))


@direct
def test_a_machine_that_is_silent_is_passed_over(make_service, store):
    """As one that lost its power; the standby is the second in the list."""
    folder = store.server.folder
    name = store.settings["DB_CNXN"].split("user=")[1].split()[0]
    with contextlib.ExitStack() as stack:
        dead = [stack.enter_context(socket.create_server(("127.0.0.1", 0)))
                for _ in range(2)]
        ports = ",".join(str(s.getsockname()[1]) for s in dead)
        service = make_service(**{
            **store.settings, "DB_TIMEOUT": "3s", "MAX_WORKERS": 1,
            "DB_CNXN": f"host=127.0.0.1,127.0.0.1,{folder} user={name}"
                       f" port={ports},5432 dbname=postgres"
                       " target_session_attrs=read-write"})
        bundle = service.create([])
        began = time.monotonic()
        for _ in range(5):
            assert service.get(path(bundle)).json() == bundle
        # Who was silent is not asked first again.
        assert time.monotonic() - began < 1
        store.server.stop()
        try:
            refused(service, bundle)
        finally:
            store.server.start()
        recovered(service, bundle)


def connections(store) -> int:
    (row,) = store.execute("SELECT count(*) FROM pg_stat_activity"
                           " WHERE application_name = 'zipstream'")
    return int(row[0])


@direct
def test_nothing_is_held_while_bytes_stream(make_service, store, origin):
    service = make_service(**store.settings)
    file = origin.file("slow.jpg", size="3m", type="image/jpeg", rate="1m")
    bundle = service.create([file.entry()])
    with in_background(service.fetch, bundle) as download:
        origin.wait(lambda books: file.books["bytes"] > 100_000)
        assert connections(store) == 0
        assert file.books["busy"], "it was over too soon to say anything"
    download.result().well()


SECRET = "p@ss:w/rd hazelnut"
HBA = """\
local all all trust
hostssl all guest all scram-sha-256
"""


@contextlib.contextmanager
def encrypted(store, pems: dict):
    """The server with TLS alone on a port of its own: gives that."""
    server, port = store.server, servers.free_port()
    rules = server.folder / "data" / "pg_hba.conf"
    before = rules.read_text()
    store.execute("CREATE ROLE guest LOGIN PASSWORD :'secret';"
                  "GRANT CREATE ON SCHEMA public TO guest", secret=SECRET)
    for name in ("cert", "key"):
        copy = shutil.copy(pems[name], server.folder / "data" / name)
        os.chmod(copy, 0o600)
        if server.user:
            shutil.chown(copy, server.user)
    rules.write_text(HBA)
    server.stop()
    server.start("-c listen_addresses=localhost", f"-p {port}",
                 "-c ssl=on", "-c ssl_cert_file=cert", "-c ssl_key_file=key")
    try:
        yield port
    finally:
        rules.write_text(before)
        server.stop()
        server.start()


@direct
def test_tls_and_a_password(make_service, store, origin, tmp_path):
    pems = origin.pems

    def settings(secret: str, ca) -> dict:
        quoted = urllib.parse.quote(secret, safe="")
        return {"TABLE_NAME": "guests", "DB_CNXN":
                f"postgresql://guest:{quoted}@localhost:{port}/postgres"
                f"?sslmode=verify-full&sslrootcert={ca}"}

    with encrypted(store, pems) as port:
        service = make_service(**settings(SECRET, pems["ca"]))
        bundle = service.create([])
        assert service.get(path(bundle)).json() == bundle
        for secret, ca, why in (("hazelnut", pems["ca"], "password"),
                                (SECRET, pems["cert"], "certificate")):
            done = pools.program(tmp_path, "init",
                                 settings=settings(secret, ca))
            assert done.returncode == 1 and why in done.stderr
            assert "hazelnut" not in done.stderr + service.pool.log()
