# SPDX-License-Identifier: AGPL-3.0-or-later
"""DynamoDB beyond the life-cycle: the Node service's items, faults, limits.

The database is AWS's own DynamoDB Local; sigv4_proxy.py in front of it
refuses what is not signed well and fails when the test says so.
"""

import json
import subprocess
import time
import uuid

import judges
import pool as pools
import pytest

pytestmark = pytest.mark.parametrize("store", ["dynamodb"], indirect=True)

SRC = "http://example.com/"


def path(bundle: dict) -> str:
    return f"/{bundle['id']}/{bundle['secret']}"


def refusal(type_: str, message: str = "message", **more) -> dict:
    """A fault that DynamoDB itself might answer with."""
    document = {"__type": f"com.amazonaws.dynamodb.v20120810#{type_}",
                message: "says the test"}
    return {"status": 400, "body": json.dumps(document), **more}


@pytest.fixture
def proxy(store):
    store.proxy.play()
    yield store.proxy
    store.proxy.play()


def test_init_makes_the_table_and_is_safe_to_repeat(stored, store):
    for _ in range(2):
        done = pools.program(stored.folder, "init", settings=store.settings)
        assert done.returncode == 0, done.stderr
    table = store.client.describe_table(TableName=store.table)["Table"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    ttl = store.client.describe_time_to_live(TableName=store.table)
    assert ttl["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "ENABLED", "AttributeName": "expirationDate"}


def test_init_needs_only_to_read_when_all_is_there(stored, store, proxy):
    proxy.play(refusal("AccessDeniedException", operation="CreateTable"))
    done = pools.program(stored.folder, "init", settings=store.settings)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("length", [3, 49, 255])
def test_a_table_may_have_any_name_that_dynamodb_knows(make_service, store,
                                                       length):
    """CloudFormation makes long ones."""
    name = ("x.-_Y" * 51)[:length]
    service = make_service(**{**store.settings, "TABLE_NAME": name})
    bundle = service.create([{"src": SRC, "dst": "a"}])
    assert service.get(path(bundle)).json() == bundle
    assert name in store.client.list_tables()["TableNames"]


def test_items_of_the_node_service_go_on_working(stored, store, origin):
    files = [origin.file(f"node/{i}") for i in range(3)]
    id_, secret = str(uuid.uuid4()), str(uuid.uuid4())
    end = int(time.time()) + 3600
    store.put({
        "id": {"S": id_}, "secret": {"S": secret},
        "filename": {"S": "old.zip"}, "expirationDate": {"N": str(end)},
        "files": {"L": [{"M": {"src": {"S": f.url}, "dst": {"S": f.dst}}}
                        for f in files[:2]]}})
    shown = stored.get(f"/{id_}/{secret}").json()
    assert shown == {"id": id_, "secret": secret, "filename": "old.zip",
                     "expirationDate": end,
                     "files": [f.entry() for f in files[:2]]}
    answer = stored.call("PUT", f"/{id_}/{secret}",
                         json={"files": [files[2].entry()]})
    assert answer.status_code == 200, answer.text
    for _ in range(2):
        got = stored.fetch(shown)
        judges.check(got.well(), {f.dst: f.bytes for f in files})
        assert 'filename="old.zip"' in got.headers["Content-Disposition"]
    assert stored.call("DELETE", f"/{id_}/{secret}").status_code == 200
    assert store.rows(id_) == 0


def test_files_are_appended_to_an_item_without_any(stored, store):
    id_ = str(uuid.uuid4())
    store.put({"id": {"S": id_}, "secret": {"S": id_},
               "filename": {"S": "a.zip"},
               "expirationDate": {"N": str(int(time.time()) + 3600)}})
    assert stored.get(f"/{id_}/{id_}").json()["files"] == []
    for name in "ab":
        answer = stored.call("PUT", f"/{id_}/{id_}", json={
            "files": [{"src": SRC + name, "dst": name}]})
        assert answer.status_code == 200, answer.text
    assert [f["dst"] for f in answer.json()["files"]] == ["a", "b"]


def test_names_of_the_node_service_become_safe(stored, store, origin):
    """It had other rules for them, and items without any."""
    names = {None: "node/0", "": "node/1", "../up": "file 3", "/root": "root",
             "a\\b": "a/b", "folder/": "folder/5", "same": "same",
             "C:/same": "same (2)"}
    files = [origin.file(f"node/{i}") for i in range(len(names))]
    id_ = str(uuid.uuid4())
    store.put({
        "id": {"S": id_}, "secret": {"S": id_}, "filename": {"S": "a/\rold"},
        "expirationDate": {"N": str(int(time.time()) + 3600)},
        "files": {"L": [{"M": {"src": {"S": file.url}, **(
            {"dst": {"S": name}} if name is not None else {})}}
            for file, name in zip(files, names)]}})
    got = stored.fetch({"id": id_})
    judges.judge_all(got.well(), {
        name: file.bytes for file, name in zip(files, names.values())})
    assert 'filename="aold.zip"' in got.headers["Content-Disposition"]


def test_half_of_a_surrogate_pair(stored, store):
    """One name that is no text does not take the bundle with it."""
    id_ = str(uuid.uuid4())
    store.put({
        "id": {"S": id_}, "secret": {"S": id_}, "filename": {"S": "a.zip"},
        "expirationDate": {"N": str(int(time.time()) + 3600)},
        "files": {"L": [{"M": {"src": {"S": SRC + "a\ud800"},
                               "dst": {"S": "b"}}}]}})
    shown = stored.get(f"/{id_}/{id_}").json()
    assert shown["files"] == [{"src": SRC + "a\ufffd", "dst": "b"}]
    assert stored.call("DELETE", f"/{id_}/{id_}").status_code == 200


def test_a_folder_that_is_none(stored, store, origin):
    """As our first versions kept a URL that ends in a backslash."""
    id_ = str(uuid.uuid4())
    now = int(time.time())
    store.put({
        "id": {"S": id_}, "secret": {"S": id_}, "filename": {"S": "a.zip"},
        "createdDate": {"N": str(now)},
        "expirationDate": {"N": str(now + 3600)},
        "files": {"L": [{"M": {"src": {"S": origin.file("x").url},
                               "dst": {"S": "x/"}}}]}})
    said = stored.fetch({"id": id_}).refused()["files"]
    assert said[0]["reason"] == "is no folder"


def test_our_items_are_of_the_same_shape(stored, store):
    bundle = stored.create([{"src": SRC + "a", "dst": "a"}])
    item = store.item(bundle["id"])
    for name in ("id", "secret", "filename"):
        assert item[name] == {"S": bundle[name]}
    assert item["expirationDate"] == {"N": str(bundle["expirationDate"])}
    assert item["files"] == {"L": [
        {"M": {"src": {"S": SRC + "a"}, "dst": {"S": "a"}}}]}


def test_what_is_learned_stands_beside_the_bundle(stored, store, origin):
    files = [origin.file(f"learned/{i}.jpg", size=500) for i in range(120)]
    bundle = stored.create([f.entry() for f in files])
    item = store.item(bundle["id"])
    assert store.rows(bundle["id"]) == 1
    first = stored.fetch(bundle)
    first.well()
    # Two items of facts, and that of how downloads ended.
    pools.wait_until(lambda: store.rows(bundle["id"]) == 4, "the facts")
    assert store.item(bundle["id"]) == item
    facts = store.item(bundle["id"] + "/facts/1")
    assert set(facts) == {"id", "expirationDate",
                          *(f"p{i}" for i in range(100, 120))}
    again = stored.fetch(bundle)
    assert int(again.headers["Content-Length"]) == len(first.bytes)


@pytest.mark.parametrize("fault", ["left out", "500"])
def test_what_was_learned_is_asked_for_until_it_comes(stored, store, proxy,
                                                      origin, fault):
    """Or the bundle would have another ETag, and no download be resumed."""
    files = [origin.file(f"asked/{i}.jpg", size=500) for i in range(120)]
    bundle = stored.create([f.entry() for f in files])
    stored.fetch(bundle).well()
    pools.wait_until(lambda: store.rows(bundle["id"]) == 4, "the facts")
    etag = stored.fetch(bundle).headers["ETag"]
    keys = [{"id": {"S": f"{bundle['id']}/facts/{i}"}} for i in range(2)]
    answer = {"Responses": {store.table: []},
              "UnprocessedKeys": {store.table: {"Keys": keys}}}
    proxy.play({"operation": "BatchGetItem", "times": 2, **(
        {"status": 500} if fault == "500" else
        {"status": 200, "body": json.dumps(answer)})})
    assert stored.fetch(bundle).headers["ETag"] == etag
    assert proxy.play().count("BatchGetItem") == 3


def ended(stored, bundle: dict, downloads: int):
    """Its facts are in the store: they are written before the note."""
    pools.wait_until(lambda: len(stored.get(
        path(bundle) + "/status").json()["downloads"]) == downloads,
        "the note of a download")


def test_who_reads_less_takes_nothing_away(stored, origin):
    """He began before the CRC was known, and ends after it was learned."""
    file = origin.file("learned/a.jpg", size=100_000_000, type="image/jpeg")
    bundle = stored.create([file.entry()])
    where = f"/{bundle['id']}"
    with subprocess.Popen(["curl", "-sS", "--limit-rate", "1M", "-r",
                           "0-90000000", "-o", "/dev/null",
                           stored.url(where)]) as slow:
        pools.wait_until(lambda: file.books["requests"], "its request")
        stored.fetch(bundle).well().unlink()
        ended(stored, bundle, 1)
        slow.kill()
    ended(stored, bundle, 2)
    origin.reset()
    assert stored.curl(where, "-r", "-50").status == 206
    assert not origin.stats()["paths"]


def test_facts_that_another_wrote_meanwhile_are_read_again(stored, proxy,
                                                           origin):
    """What is not there any more when they are to be replaced."""
    file = origin.file("learned/b.jpg", size=500, type="image/jpeg")
    bundle = stored.create([file.entry()])
    proxy.play(refusal("ConditionalCheckFailedException", times=2,
                       operation="UpdateItem"))
    stored.fetch(bundle).well()
    ended(stored, bundle, 1)
    # Twice in vain, then the facts and the note.
    assert proxy.play().count("UpdateItem") == 4
    origin.reset()
    assert stored.curl(f"/{bundle['id']}", "-r", "-50").status == 206
    assert not origin.stats()["paths"]


def test_what_the_ttl_has_left_behind_is_gone(stored, store):
    """It never deletes what is years old, and may be days late."""
    bundle = stored.create([])
    item = store.item(bundle["id"])
    store.put({**item, "expirationDate": {"N": "1000000000"}})
    assert stored.get(path(bundle)).status_code == 404
    assert stored.get(f"/{bundle['id']}").status_code == 404
    answer = stored.call("PUT", path(bundle), json={"files": []})
    assert answer.status_code == 404


def test_an_item_of_400_kb_is_the_limit(stored):
    large = [{"src": SRC + "x" * 990 + str(i), "dst": f"{i:04}"}
             for i in range(450)]
    answer = stored.post("/", {"filename": "a", "files": large})
    assert answer.status_code == 413
    assert "400 KB" in answer.json()["message"]
    bundle = stored.create(large[:350])
    answer = stored.call("PUT", path(bundle), json={"files": large[350:]})
    assert answer.status_code == 413, answer.text
    assert "400 KB" in answer.json()["message"]
    assert stored.get(path(bundle)).json() == bundle


@pytest.mark.parametrize("spelling", ["message", "Message"])
@pytest.mark.parametrize("prefix", ["com.amazon.coral.validate#", ""])
def test_errors_in_every_spelling(stored, proxy, prefix, spelling):
    document = {"__type": prefix + "ValidationException",
                spelling: "Item size has exceeded the maximum allowed size"}
    proxy.play({"status": 400, "body": json.dumps(document)})
    answer = stored.post("/", {"filename": "a", "files": []})
    assert answer.status_code == 413
    assert proxy.play() == ["PutItem"]


@pytest.mark.parametrize("fault", [
    refusal("ProvisionedThroughputExceededException"),
    refusal("ThrottlingException", "Message"),
    refusal("RequestLimitExceeded"),
    {"status": 500, "body": '{"__type":"InternalServerError"}'},
    {"status": 503, "body": "<h1>away</h1>"}, {"drop": True}],
    ids=["throughput", "throttling", "limit", "500", "503", "dropped"])
def test_what_passes_is_tried_again(stored, proxy, fault):
    proxy.play({**fault, "times": 2})
    bundle = stored.create([{"src": SRC, "dst": "a"}])
    assert proxy.play({**fault, "times": 1}) == ["PutItem"] * 3
    assert stored.get(path(bundle)).json() == bundle


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 500}],
                         ids=["dropped", "500"])
def test_a_lost_answer_does_not_make_it_happen_twice(stored, proxy, store,
                                                     fault):
    proxy.play({**fault, "after": True, "operation": "PutItem"},
               {**fault, "after": True, "operation": "UpdateItem"},
               {**fault, "after": True, "operation": "DeleteItem"})
    bundle = stored.create([{"src": SRC, "dst": "a"}])
    answer = stored.call("PUT", path(bundle), json={
        "files": [{"src": SRC + "b", "dst": "b"}]})
    assert answer.status_code == 200, answer.text
    assert len(store.item(bundle["id"])["files"]["L"]) == 2
    shown = stored.get(path(bundle)).json()
    assert stored.call("DELETE", path(bundle)).json() == shown
    assert stored.get(path(bundle)).status_code == 404
    seen = proxy.play()
    assert all(seen.count(x) >= 2
               for x in ("PutItem", "UpdateItem", "DeleteItem")), seen


def test_a_wrong_secret_stays_wrong_when_answers_are_lost(stored, proxy):
    bundle = stored.create([{"src": SRC, "dst": "a"}])
    other = f"/{bundle['id']}/{uuid.uuid4()}"
    for operation in ("UpdateItem", "DeleteItem"):
        proxy.play({"status": 500, "operation": operation})
    assert stored.call("DELETE", other).status_code == 404
    answer = stored.call("PUT", other, json={"files": []})
    assert answer.status_code == 404
    assert stored.get(path(bundle)).json() == bundle


def test_a_dead_database_is_a_503_and_is_survived(make_service, store, proxy):
    service = make_service(**store.settings, DB_TIMEOUT="1s")
    bundle = service.create([])
    proxy.play({"drop": True, "times": 10_000})
    answer = service.get(path(bundle))
    assert answer.status_code == 503
    assert answer.json()["message"] == "The store is not available"
    proxy.play()
    assert service.get(path(bundle)).json() == bundle


def test_wrong_keys_are_named_in_the_log_and_not_shown(stored, store):
    wrong = "wrong/secret+key/that+nobody/may+read"
    done = pools.program(stored.folder, "init", settings={
        **store.settings, "AWS_SECRET_ACCESS_KEY": wrong})
    assert done.returncode == 1
    assert done.stderr.count("InvalidSignatureException") == 1
    assert wrong not in done.stderr + done.stdout


def test_refused_keys_are_a_503_with_one_line(stored, store, proxy):
    proxy.play(refusal("UnrecognizedClientException"))
    before = len(stored.pool.log())
    answer = stored.post("/", {"filename": "a", "files": []})
    assert answer.status_code == 503
    said = stored.pool.log()[before:]
    faults = [x for x in said.splitlines() if "Z error " in x]
    assert len(faults) == 1 and "UnrecognizedClientException" in faults[0]
    assert store.settings["AWS_SECRET_ACCESS_KEY"] not in said
    assert proxy.play() == ["PutItem"]


def test_without_keys_it_does_not_start(stored, store):
    settings = {k: v for k, v in store.settings.items()
                if "KEY" not in k}
    done = pools.program(stored.folder, "init", settings=settings)
    assert done.returncode == 1
    assert "credentials" in done.stderr


def test_session_tokens(stored, store, make_service):
    token = "FwoGZXIvYXdzE+/=="
    proxy = store.proxied(token)
    try:
        service = make_service(**{
            **store.settings, "AWS_SESSION_TOKEN": token,
            "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{proxy.port}"})
        bundle = service.create([])
        assert service.get(path(bundle)).json() == bundle
    finally:
        proxy.stop()
