# SPDX-License-Identifier: AGPL-3.0-or-later
"""s3:// sources: from OpenStack Swift's s3api, which verifies signatures, and
from a scripted S3 for what Swift never says.
"""

import base64
import email.utils
import time
import zipfile
import zlib

import botocore.session
import conftest
import content
import judges
import network
import object_store
import pytest
import requests
import scripted
import sigv4_proxy
from botocore.config import Config
from service import Service

# Literal, all of it: nothing here is a query, an escape or a folder to S3.
KEYS = (
    "plain.txt", "some/deep/key.jpg", "question?mark=1&b=2", "hash#fragment",
    "100%", "a%2Fb%20c", "%", "a+b+c", "two  spaces and  more ", " leading",
    "double//slash", "//two in front", "/one in front", "../up", "a/../b",
    "a/./b", "..", ".hidden", "ünïcödé/日本語 🎉", "cafe\u0301",
    "q'uo\"te<s>&amp;", "back\\slash", "semi;colon,comma@at$dollar=!*()[]{}",
    "~tilde^caret`grave|pipe", "ends in slash/", "k" * 1000)

BUCKET, DOTTED = "odd-keys", "dotted.bucket.name"


def body(key: str) -> bytes:
    return f"the object '{key}'\n".encode() * 50


@pytest.fixture(scope="module")
def swift(tmp_path_factory):
    swift = object_store.Swift(tmp_path_factory.mktemp("swift")).start()
    swift.bucket(BUCKET)
    swift.bucket(DOTTED)
    for key in KEYS:
        swift.put(BUCKET, key, body(key))
    swift.put(DOTTED, "a b", body("a b"))
    yield swift
    swift.stop()


@pytest.fixture(scope="module")
def s3(swift, tmp_path_factory):
    service = Service(tmp_path_factory.mktemp("s3"),
                      {**conftest.IMPATIENT, **swift.settings})
    conftest.running.append(service)
    try:
        yield service.start()
    finally:
        conftest.halted(service)


def entry(key: str, bucket: str = BUCKET, **more) -> dict:
    return {"src": f"s3://{bucket}/{key}", **more}


def test_odd_keys_are_byte_exact(s3, swift):
    listed = swift.client.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert {x["Key"] for x in listed} == set(KEYS), "other keys are there"
    bundle = s3.create([entry(key, dst=str(i))
                        for i, key in enumerate(KEYS)])
    wanted = {str(i): body(key) for i, key in enumerate(KEYS)}
    first = s3.fetch(bundle)
    judges.judge_all(first.well(), wanted)
    # There are more of them than the window holds: each was asked for.
    assert int(first.headers["Content-Length"]) == len(first.bytes)
    again = s3.fetch(bundle)
    assert again.bytes == first.bytes
    assert again.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_each_alone(s3, key):
    judges.check(s3.zip([entry(key, dst="x")]).well(), {"x": body(key)})


def test_the_name_follows_from_the_key(s3):
    """As it is, but for what other systems cannot have in a name."""
    keys = ("some/deep/key.jpg", "question?mark=1&b=2", "a%2Fb%20c", "a+b+c")
    got = s3.zip([entry(key) for key in keys])
    judges.check(got.well(), {key.replace("?", "_"): body(key)
                              for key in keys})


def test_a_dotted_bucket(s3):
    got = s3.zip([entry("a b", DOTTED, dst="x")])
    judges.check(got.well(), {"x": body("a b")})


@pytest.mark.parametrize("others", [0, 12], ids=["alone", "among many"])
@pytest.mark.parametrize("bucket, code", [
    (BUCKET, "NoSuchKey"), ("no-such-bucket", "NoSuchBucket")])
def test_what_is_missing_is_named(s3, others, bucket, code):
    files = [entry("plain.txt", dst=str(i)) for i in range(others)]
    said = s3.zip([*files, entry("gone.txt", bucket)]).refused()["files"]
    assert said == [{"src": f"s3://{bucket}/gone.txt", "status": 404,
                     "reason": f"404 {code}"}]


def test_a_wrong_secret_is_refused_and_named(make_service, swift):
    wrong = "wrong/secret+key"
    service = make_service(**{**swift.settings,
                              "AWS_SECRET_ACCESS_KEY": wrong})
    said = service.zip([entry("plain.txt")]).refused()["files"][0]
    assert said["src"] == f"s3://{BUCKET}/plain.txt"
    assert said["status"] == 403
    assert "SignatureDoesNotMatch" in said["reason"]
    assert wrong not in service.pool.log()
    assert "Signature=" not in service.pool.log()


def test_a_large_object_and_its_ranges(s3, swift, tmp_path):
    size = 24 << 20
    bytes_ = content.body(5, size)
    swift.put(BUCKET, "large.jpg", bytes_)
    bundle = s3.create([entry("large.jpg"), entry("plain.txt")])
    first = s3.fetch(bundle)
    judges.check(first.well(), {"large.jpg": bytes_,
                                "plain.txt": body("plain.txt")})
    whole = first.bytes
    for at in (0, 1 << 20, size - 5, len(whole) - 30):
        answer = s3.get(f"/{bundle['id']}",
                        headers={"Range": f"bytes={at}-{at + 999}"})
        assert answer.status_code == 206
        assert answer.content == whole[at:at + 1000]
    path = tmp_path / "resumed.zip"
    path.write_bytes(whole[:9_000_000])
    done = s3.curl(f"/{bundle['id']}", "-r", "9000000-")
    assert path.read_bytes() + done.bytes == whole


def test_an_object_replaced_is_another_zip(s3, swift):
    swift.put(BUCKET, "fickle.jpg", b"1" * 100_000)
    bundle = s3.create([entry("fickle.jpg")])
    first = s3.fetch(bundle)
    first.well()
    swift.put(BUCKET, "fickle.jpg", b"2" * 100_000)
    second = s3.fetch(bundle)
    judges.check(second.well(), {"fickle.jpg": b"2" * 100_000})
    assert first.headers["ETag"] != second.headers["ETag"]


def test_links_that_others_have_signed(s3, swift):
    """The SDK's presigned URL, as an https source."""
    session = botocore.session.Session()
    session.set_credentials(object_store.KEY, object_store.SECRET)
    client = session.create_client(
        "s3", object_store.REGION,
        endpoint_url=swift.endpoint.replace("127.0.0.1", "localhost"),
        config=Config(signature_version="s3v4",
                      s3={"addressing_style": "path"}))
    keys = [k for k in KEYS if ".." not in k and "./" not in k]
    files = [{"src": client.generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": key}), "dst": str(i)}
        for i, key in enumerate(keys)]
    judges.check(s3.zip(files).well(),
                 {str(i): body(key) for i, key in enumerate(keys)})


# What Swift does not do: a scripted S3.

REGION, KEY, SECRET = "us-west-2", "AKIDSCRIPTED", "scripted/secret+"


def error(status: int, code: str, **headers):
    """S3's own error document."""
    text = (f'<?xml version="1.0"?>\n<Error><Code>{code}</Code>'
            f"<Message>says the test</Message></Error>")
    return status, {"Content-Type": "application/xml", **{
        k.replace("_", "-"): v for k, v in headers.items()}}, text.encode()


class Bucket:
    """Objects of a scripted S3, and what it thinks of a request first."""

    def __init__(self, objects: dict = {}, **sums: str):
        self.objects = objects
        self.sums = sums
        self.region = REGION
        self.first = lambda asked: None  # an answer instead

    def __call__(self, asked: scripted.Asked):
        refusal = self.first(asked) or self.check(asked)
        if refusal:
            return refusal
        key = asked.target.split("/", 2)[2]
        if key not in self.objects:
            return error(404, "NoSuchKey")
        return self.object(key, asked)

    def check(self, asked: scripted.Asked):
        judge = sigv4_proxy.Judge("s3", self.region, KEY, SECRET)
        headers = requests.structures.CaseInsensitiveDict(asked.headers)
        try:
            judge.check(asked.method, asked.target, headers, asked.body)
        except sigv4_proxy.Refused as refused:
            return error(403, "SignatureDoesNotMatch" if "not match" in
                         str(refused) else refused.code)
        return None

    def object(self, key: str, asked: scripted.Asked):
        whole = self.objects[key]
        headers = {"ETag": f'"{zlib.crc32(whole)}"', "Accept-Ranges": "bytes",
                   "Content-Type": "image/jpeg",
                   "Content-Length": len(whole),
                   "Last-Modified": email.utils.formatdate(1.7e9, usegmt=True)}
        ranged = asked.headers.get("range", "")
        if asked.headers.get("if-match", headers["ETag"]) != headers["ETag"]:
            return error(412, "PreconditionFailed")
        if ranged:
            first, _, last = ranged[6:].partition("-")
            part = whole[int(first):int(last) + 1 if last else None]
            end = int(first) + len(part) - 1
            return 206, {**headers, "Content-Length": len(part),
                         "Content-Range":
                             f"bytes {first}-{end}/{len(whole)}"}, part
        return 200, {**headers, **{
            f"x-amz-checksum-{name}": sum_
            for name, sum_ in self.sums.items()}}, whole


@pytest.fixture
def play():
    """Starts a scripted S3 and says with which settings it is used."""
    servers = []

    def start(answer) -> "tuple[scripted.Scripted, dict]":
        server = scripted.Scripted(answer)
        servers.append(server)
        return server, {"AWS_ENDPOINT_URL_S3": server.url,
                        "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": KEY,
                        "AWS_SECRET_ACCESS_KEY": SECRET}

    yield start
    for server in servers:
        server.stop()


@pytest.mark.parametrize("url", [
    "http://127.0.0.1:80", "http://LocalHost", "http://127.0.0.1:8080/a/b c/"
    .replace(" ", "%20"), "http://127.0.0.1:8080//"])
def test_what_is_signed_is_what_is_sent(make_service, url):
    """A port that goes without saying, capitals, a path of its own."""
    bucket = Bucket()
    bucket.object = lambda key, asked: (200, {"ETag": '"1"'}, b"object")
    bucket.objects = {"odd-keys/a": b"", "a": b"", "b%20c/odd-keys/a": b""}

    def body():
        server = scripted.Scripted(
            bucket, ("127.0.0.1", 8080 if ":8080" in url else 80))
        got = make_service(
            AWS_ENDPOINT_URL_S3=url, AWS_REGION=REGION, AWS_ACCESS_KEY_ID=KEY,
            AWS_SECRET_ACCESS_KEY=SECRET).zip([entry("a")])
        server.stop()
        return got, server.asked[-1].target

    got, target = network.apart(body)
    judges.check(got.well(), {"a": b"object"})
    assert target == ("/a/b%20c" if "%" in url else "") + "/odd-keys/a"


@pytest.mark.parametrize("status, code", [
    (301, "PermanentRedirect"), (400, "AuthorizationHeaderMalformed"),
    (307, "TemporaryRedirect")])
@pytest.mark.parametrize("count", [1, 20])
def test_the_region_is_learned_once(make_service, play, status, code, count):
    bucket = Bucket({str(i): b"x" * 100 for i in range(count)})
    bucket.region = "eu-south-2"
    bucket.first = lambda asked: None if (
        "/eu-south-2/" in asked.headers["authorization"]) else error(
            status, code, x_amz_bucket_region="eu-south-2",
            Location="http://elsewhere.example/")
    server, settings = play(bucket)
    service = make_service(**settings, MAX_WORKERS=1)
    files = [entry(key, dst=key) for key in bucket.objects]
    judges.check(service.zip(files).well(), bucket.objects)
    server.asked.clear()
    service.zip(files).well()
    assert not [x for x in server.asked
                if REGION in x.headers["authorization"]]


def test_a_region_that_never_settles_ends(make_service, play):
    numbers = iter(range(10_000))
    server, settings = play(lambda asked: error(
        301, "PermanentRedirect",
        x_amz_bucket_region=f"nowhere-{next(numbers)}"))
    said = make_service(**settings).zip([entry("a")]).refused()
    assert "PermanentRedirect" in said["files"][0]["reason"] or (
        said["files"][0]["status"] == 301)
    assert len(server.asked) < 10


def test_a_wrong_clock_is_corrected(make_service, play):
    """The server's is an hour ahead; the judge's is the right one."""
    ahead = 3600

    def clock(asked):
        stamp = time.strftime("%Y%m%dT%H", time.gmtime(time.time() + ahead))
        if asked.headers["x-amz-date"].startswith(stamp):
            return 200, {"ETag": '"1"'}, b"on time"
        return error(403, "RequestTimeTooSkewed",
                     Date=email.utils.formatdate(time.time() + ahead,
                                                 usegmt=True))

    server, settings = play(clock)
    service = make_service(**settings, MAX_WORKERS=1)
    for _ in range(2):
        judges.check(service.zip([entry("a")]).well(), {"a": b"on time"})
    assert len(server.asked) == 3


def test_a_clock_that_is_never_right_fails(make_service, play):
    server, settings = play(lambda asked: error(403, "RequestTimeTooSkewed"))
    said = make_service(**settings).zip([entry("a")]).refused()
    assert "RequestTimeTooSkewed" in said["files"][0]["reason"]
    assert len(server.asked) == 1


def test_many_learn_of_the_clock_at_once(make_service, play):
    def clock(asked):
        if abs(float(asked.headers["x-amz-date"][9:11]) - hour) < 1:
            return 200, {"ETag": '"1"', "Content-Type": "image/jpeg"}, b"now"
        return error(403, "RequestTimeTooSkewed",
                     Date=email.utils.formatdate(ahead, usegmt=True))

    ahead = time.time() + 7200
    hour = time.gmtime(ahead).tm_hour
    _, settings = play(clock)
    files = [entry(str(i)) for i in range(20)]
    judges.check(make_service(**settings).zip(files).well(),
                 {str(i): b"now" for i in range(20)})


def test_expired_keys_are_looked_for_anew(make_service, play, tmp_path):
    path = tmp_path / "credentials"

    def keys(key: str):
        path.write_text(f"[default]\naws_access_key_id={key}\n"
                        f"aws_secret_access_key={SECRET}\n")

    bucket = Bucket({"a": b"fresh"})

    def first(asked):
        if KEY in asked.headers["authorization"]:
            return None
        keys(KEY)
        return error(400, "ExpiredToken")

    bucket.first = first
    server, settings = play(bucket)
    keys("AKIDOLD")
    service = make_service(AWS_SHARED_CREDENTIALS_FILE=path, **{
        k: v for k, v in settings.items() if "KEY" not in k})
    judges.check(service.zip([entry("a")]).well(), {"a": b"fresh"})
    assert len(server.asked) == 2


def sum_of(bytes_: bytes) -> str:
    return base64.b64encode(zlib.crc32(bytes_).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("count", [1, 20])
def test_a_stored_checksum_saves_the_first_pass(make_service, play, count):
    """The zip is known to the last byte before an object is read."""
    bytes_ = content.body(9, 300_000)
    bucket = Bucket({str(i): bytes_ for i in range(count)},
                    crc32=sum_of(bytes_), type="FULL_OBJECT")
    server, settings = play(bucket)
    service = make_service(**settings)
    bundle = service.create([entry(key, dst=key + ".jpg")
                             for key in bucket.objects])
    last = service.get(f"/{bundle['id']}", headers={"Range": "bytes=-22"})
    assert last.status_code == 206
    assert not [x for x in server.asked
                if x.method == "GET" and "range" not in x.headers
                and count > 1]
    got = service.fetch(bundle)
    judges.check(got.well(), {k + ".jpg": bytes_ for k in bucket.objects})
    assert got.bytes.endswith(last.content)
    with zipfile.ZipFile(got.path) as archive:
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert not info.flag_bits & 8, "it has a descriptor"
    for asked in server.asked:
        assert asked.headers["x-amz-checksum-mode"] == "ENABLED"
        assert "x-amz-checksum-mode" in asked.headers["authorization"]


@pytest.mark.parametrize("sums", [
    {"crc32": "AAAAAA==-3"}, {"crc32": "AAAAAA==", "type": "COMPOSITE"},
    {"crc32": "AAAA"}, {"crc32": "!"}, {"crc32c": "AAAAAA=="},
    {"sha256": "AAAAAA=="}], ids=str)
def test_sums_of_another_kind_are_not_taken_for_it(make_service, play, sums):
    bytes_ = content.body(9, 300_000)
    _, settings = play(Bucket({"a": bytes_}, **sums))
    judges.check(make_service(**settings).zip([entry("a")]).well(),
                 {"a": bytes_})


def test_a_checksum_that_lies_makes_no_zip(make_service, play):
    bytes_ = content.body(9, 300_000)
    _, settings = play(Bucket({"a": bytes_}, crc32=sum_of(b"other"),
                              type="FULL_OBJECT"))
    make_service(**settings).zip([entry("a", dst="a.jpg")]).failed()


def test_public_buckets_need_no_keys(make_service, play):
    bucket = Bucket({"a b": b"public"})
    bucket.check = lambda asked: None
    bucket.objects = {"a%20b": b"public"}
    server, settings = play(bucket)
    service = make_service(**{k: v for k, v in settings.items()
                              if "KEY" not in k})
    judges.check(service.zip([entry("a b", dst="x")]).well(),
                 {"x": b"public"})
    assert not {"authorization", "x-amz-date"} & set(server.asked[0].headers)


def test_slow_down_is_obeyed(make_service, play):
    bucket = Bucket({"a": b"at last"})
    bucket.first = lambda asked: (error(503, "SlowDown")
                                  if len(server.asked) < 3 else None)
    server, settings = play(bucket)
    judges.check(make_service(**settings).zip([entry("a")]).well(),
                 {"a": b"at last"})


@pytest.mark.parametrize("answer, reason", [
    (error(403, "AccessDenied"), "403 AccessDenied"),
    (error(403, "InvalidObjectState"), "403 InvalidObjectState"),
    ((403, {}, b""), "403 Forbidden"),
    ((404, {}, b"<Code>"), "404 Not Found"),
    ((400, {}, b"<Code>" + b"A" * 5000), "400 " + "A" * 63),
    ((400, {}, b"<Code>\r\nX: y</Code>"), "400 Xy")],
    ids=["denied", "state", "bare", "cut", "long", "hostile"])
def test_what_s3_says_is_the_reason(make_service, play, answer, reason):
    _, settings = play(lambda asked: answer)
    said = make_service(**settings).zip([entry("a")]).refused()
    assert said["files"] == [{"src": f"s3://{BUCKET}/a",
                              "status": answer[0], "reason": reason}]


def test_keys_are_never_sent_elsewhere(make_service, play):
    other, _ = play(lambda asked: (200, {}, b"stolen"))
    _, settings = play(lambda asked: error(
        307, "TemporaryRedirect", Location=other.url + "/odd-keys/a"))
    said = make_service(**settings).zip([entry("a")]).refused()
    assert said["files"][0]["status"] == 307
    assert not other.asked
