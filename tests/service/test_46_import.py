# SPDX-License-Identifier: AGPL-3.0-or-later
"""`zipstream import`: the Node service's table in PostgreSQL, and from then
on this service on the same database.
"""

import datetime
import json
import uuid

import judges
import pool as pools
import pytest

pytestmark = pytest.mark.parametrize("store", ["postgres"], indirect=True)

TABLE = """
DROP TABLE IF EXISTS node_bundles;
CREATE TABLE node_bundles (id text PRIMARY KEY, secret text,
	files json[], expirationdate timestamp, filename text);
"""


class Node:
    """What the Node service left behind."""

    def __init__(self, store):
        self.store = store
        self.store.execute(TABLE)

    def add(self, files: list, seconds: int = 3600, **more) -> dict:
        row = {"id": str(uuid.uuid4()), "secret": str(uuid.uuid4()),
               "filename": "old.zip", **more}
        end = datetime.datetime.now(datetime.timezone.utc).replace(
            microsecond=0) + datetime.timedelta(seconds=seconds)
        self.store.execute(
            "INSERT INTO node_bundles VALUES (:'id', :'secret',"
            " ARRAY(SELECT * FROM json_array_elements(:'files')),"
            " :'end', :'filename')", **row, files=json.dumps(files),
            end=end.strftime("%Y-%m-%d %H:%M:%S"))
        return {**row, "files": files, "expirationDate": int(end.timestamp())}


@pytest.fixture
def node(stored, store):
    return Node(store)


def take(stored, store, table: str = "node_bundles"):
    return pools.program(stored.folder, "import", table,
                         settings=store.settings)


def test_bundles_go_on_under_their_old_links(stored, store, node, origin):
    files = [origin.file(f"ö {i}.bin") for i in range(3)]
    old = node.add([f.entry() for f in files])
    done = take(stored, store)
    assert done.returncode == 0, done.stderr
    assert "bundles imported: 1" in done.stderr
    path = f"/{old['id']}/{old['secret']}"
    assert stored.get(path).json() == old
    for _ in range(2):
        judges.check(stored.fetch(old).well(),
                     {f.dst: f.bytes for f in files})
    more = origin.file("more")
    answer = stored.call("PUT", path, json={"files": [more.entry()]})
    assert len(answer.json()["files"]) == 4
    assert stored.call("DELETE", path).status_code == 200


def test_init_on_the_old_table_says_what_to_do(stored, store, node):
    old = node.add([{"src": "http://example.com/a", "dst": "a"}])
    done = pools.program(stored.folder, "init", settings={
        **store.settings, "TABLE_NAME": "node_bundles"})
    assert done.returncode == 1
    for said in ('"node_bundles" already exists', "another TABLE_NAME",
                 "zipstream import", "docs/migration.md"):
        assert said in done.stderr
    assert store.execute("SELECT id FROM node_bundles") == [(old["id"],)]
    assert store.execute("SELECT tablename FROM pg_tables WHERE tablename"
                         " LIKE 'node_bundles%'") == [("node_bundles",)]


def test_importing_twice_changes_nothing(stored, store, node):
    old = node.add([{"src": "http://example.com/a", "dst": "a"}])
    path = f"/{old['id']}/{old['secret']}"
    assert take(stored, store).returncode == 0
    changed = stored.call("PUT", path, json={"files": [
        {"src": "http://example.com/b", "dst": "b"}]}).json()
    assert take(stored, store).returncode == 0
    assert stored.get(path).json() == changed


def test_many_bundles(stored, store, node):
    store.execute(
        "INSERT INTO node_bundles SELECT gen_random_uuid(),"
        " gen_random_uuid(), ARRAY['{\"src\":\"http://example.com/a\","
        "\"dst\":\"a\"}'::json], now() AT TIME ZONE 'UTC'"
        " + interval '1 hour', 'a.zip' FROM generate_series(1, 3000)")
    done = take(stored, store)
    assert "bundles imported: 3000" in done.stderr, done.stderr
    rows = store.execute("SELECT id, secret FROM node_bundles LIMIT 3")
    for id_, secret in rows:
        assert stored.get(f"/{id_}/{secret}").status_code == 200


def test_what_is_odd_is_left_out_and_named(stored, store, node):
    good = node.add([{"src": "http://example.com/a", "dst": "a"}])
    bad = node.add([{"src": "ftp://example.com/a", "dst": "a"}])
    node.add([], id="no-uuid")
    dead = node.add([{"src": "http://example.com/a", "dst": "a"}], -60)
    done = take(stored, store)
    assert done.returncode == 0, done.stderr
    assert f"not imported: {bad['id']}" in done.stderr
    assert "no-uuid" in done.stderr
    for row, status in ((good, 200), (bad, 404), (dead, 404)):
        answer = stored.get(f"/{row['id']}/{row['secret']}")
        assert answer.status_code == status, row


def test_escapes_that_postgres_cannot_read(stored, store, node):
    """It keeps JSON as it came.  What is no text stays behind, alone."""
    odd = [node.add([{"src": f"http://example.com/{c}", "dst": "a"}])
           for c in ("\ud800", "\0")]
    good = node.add([{"src": "http://example.com/\U0001f600", "dst": "a"}])
    done = take(stored, store)
    assert done.returncode == 0, done.stderr
    assert all(f"not imported: {row['id']}" in done.stderr for row in odd)
    shown = stored.get(f"/{good['id']}/{good['secret']}").json()
    assert shown["files"] == good["files"]


@pytest.mark.parametrize("end, status", [("infinity", 200),
                                         ("-infinity", 404)])
def test_dates_without_an_end(stored, store, node, end, status):
    """One of them must not keep the others from coming over."""
    row = node.add([{"src": "http://example.com/a", "dst": "a"}])
    store.execute(f"UPDATE node_bundles SET expirationdate = '{end}'")
    other = node.add([])
    done = take(stored, store)
    assert done.returncode == 0, done.stderr
    for bundle, wanted in ((row, status), (other, 200)):
        answer = stored.get(f"/{bundle['id']}/{bundle['secret']}")
        assert answer.status_code == wanted


def test_empty_bundles_and_names(stored, store, node):
    bare = node.add([], filename="")
    nameless = node.add([{"src": "http://example.com/a/b", "dst": None}])
    assert take(stored, store).returncode == 0
    shown = stored.get(f"/{bare['id']}/{bare['secret']}").json()
    assert shown["files"] == [] and shown["filename"] == "bundle.zip"
    shown = stored.get(f"/{nameless['id']}/{nameless['secret']}").json()
    assert shown["files"][0]["dst"] == "a/b"


@pytest.mark.parametrize("table", [
    "no_such_table", "x; DROP TABLE bundles", 'quo"te', ""])
def test_a_table_that_is_not_there(stored, store, node, table):
    done = take(stored, store, table)
    assert done.returncode in (1, 2)
    assert done.stderr
    assert stored.create([])["id"]
