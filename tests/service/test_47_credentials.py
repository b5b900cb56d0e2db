# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where AWS keys come from, in the SDKs' order: environment, shared file,
container, instance metadata.  All of these places are scripted servers on
the loopback, or at their true addresses in a network of the test's own; which
keys were found is read from what S3 is then asked with.
"""

import json
import signal
import time

import judges
import network
import pool as pools
import pytest
import scripted

SECRET, TOKEN = "keep+this/secret", "and/this+token=="
ROLE = "/latest/meta-data/iam/security-credentials/"


def document(key: str, seconds: int = 21600, **more) -> bytes:
    end = time.gmtime(time.time() + seconds)
    return json.dumps({
        "Code": "Success", "AccessKeyId": key, "SecretAccessKey": SECRET,
        "Token": TOKEN, "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ",
                                                    end), **more}).encode()


class Metadata:
    """IMDSv2: nothing without a session token."""

    def __init__(self, *documents: bytes):
        self.documents = list(documents)

    def __call__(self, asked: scripted.Asked):
        if asked.target == "/latest/api/token":
            ttl = asked.headers.get("x-aws-ec2-metadata-token-ttl-seconds")
            good = asked.method == "PUT" and 0 < int(ttl) <= 21600
            return (200, {}, b"the-session") if good else (400, {}, b"")
        if asked.headers.get("x-aws-ec2-metadata-token") != "the-session":
            return 401, {}, b""
        if asked.target == ROLE:
            return 200, {}, b"the-role\n"
        if asked.target != ROLE + "the-role" or not self.documents:
            return 500, {}, b""
        return 200, {}, self.documents.pop(0)


@pytest.fixture
def play():
    servers = []

    def start(answer, *address) -> scripted.Scripted:
        servers.append(scripted.Scripted(answer, *address))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def s3(play):
    return play(lambda asked: (200, {"ETag": '"1"'}, b"object"))


@pytest.fixture
def serve(make_service, s3):
    """A service that reads S3 and finds keys as `settings` let it."""
    def start(**settings):
        return make_service(**{"AWS_ENDPOINT_URL_S3": s3.url,
                               "MAX_WORKERS": 1, **settings})

    return start


def read(service) -> None:
    got = service.zip([{"src": "s3://bucket/key"}])
    judges.check(got.well(), {"key": b"object"})


def key_of(asked: scripted.Asked) -> str:
    """The access key that signed it; "" for none."""
    words = asked.headers.get("authorization", "=/").split("=", 1)[1]
    return words.split("/")[0]


def imds(server: scripted.Scripted) -> dict:
    return {"AWS_EC2_METADATA_DISABLED": "false",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url + "/"}


def profiles(folder) -> dict:
    path = folder / "credentials"
    path.write_text(f"""\
# comment
[default]
aws_access_key_id=AKIDDEFAULT
aws_secret_access_key={SECRET}

[ other one ]
; comment
  aws_access_key_id   =  AKIDOTHER
aws_secret_access_key = {SECRET}
region = nowhere
aws_session_token = {TOKEN}
[last]
aws_access_key_id = AKIDLAST
""")
    return {"AWS_SHARED_CREDENTIALS_FILE": path}


def container(server: scripted.Scripted) -> dict:
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url + "/keys",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Basic container"}


ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": SECRET}


def test_the_order_is_the_sdks(serve, s3, play, tmp_path):
    """Whoever comes first is asked alone."""
    metadata = play(Metadata(*[document("AKIDIMDS")] * 9))
    pot = play(lambda asked: (200, {}, document("AKIDPOT")))
    chain = [("AKIDENV", ENVIRONMENT), ("AKIDDEFAULT", profiles(tmp_path)),
             ("AKIDPOT", container(pot)), ("AKIDIMDS", imds(metadata))]
    for i, (key, _) in enumerate(chain):
        settings = {}
        for _, more in chain[i:]:
            settings.update(more)
        read(serve(**settings))
        assert key_of(s3.asked[-1]) == key
        assert bool(pot.asked) == (i >= 2) and bool(metadata.asked) == (i >= 3)
    assert pot.asked[0].headers["authorization"] == "Basic container"


def test_profiles(serve, s3, tmp_path):
    read(serve(**profiles(tmp_path), AWS_PROFILE="other one"))
    assert key_of(s3.asked[-1]) == "AKIDOTHER"
    assert s3.asked[-1].headers["x-amz-security-token"] == TOKEN
    assert "x-amz-security-token" in s3.asked[-1].headers["authorization"]
    # Half a key is none.
    read(serve(**profiles(tmp_path), AWS_PROFILE="last"))
    assert key_of(s3.asked[-1]) == ""


@pytest.mark.parametrize("name, most", [("AWS_ACCESS_KEY_ID", 158),
                                        ("AWS_SECRET_ACCESS_KEY", 158),
                                        ("AWS_SESSION_TOKEN", 4094)])
def test_keys_are_never_cut(serve, s3, name, most):
    read(serve(**{**ENVIRONMENT, name: most * "k"}))
    service = serve(**{**ENVIRONMENT, name: (most + 1) * "k"})
    before = len(s3.asked)
    got = service.zip([{"src": "s3://bucket/key"}]).refused()
    assert "too long" in got["files"][0]["reason"]
    assert len(s3.asked) == before


def test_the_file_is_also_found_at_home(serve, s3, tmp_path):
    (tmp_path / ".aws").mkdir()
    profiles(tmp_path / ".aws")
    read(serve(HOME=tmp_path))
    assert key_of(s3.asked[-1]) == "AKIDDEFAULT"


def test_metadata_is_asked_once_for_all_workers(serve, s3, play):
    metadata = play(Metadata(document("AKIDIMDS")))
    service = serve(**imds(metadata), MAX_WORKERS=4, MIN_SPARE_WORKERS=4)
    for _ in range(8):
        read(service)
        assert key_of(s3.asked[-1]) == "AKIDIMDS"
        assert s3.asked[-1].headers["x-amz-security-token"] == TOKEN
    assert [(x.method, x.target) for x in metadata.asked] == [
        ("PUT", "/latest/api/token"), ("GET", ROLE),
        ("GET", ROLE + "the-role")]
    said = service.pool.log()
    assert SECRET not in said and TOKEN not in said


def test_keys_are_renewed_before_they_expire(serve, s3, play):
    metadata = play(Metadata(document("AKIDOLD", 100), document("AKIDNEW")))
    service = serve(**imds(metadata))
    for key in ("AKIDOLD", "AKIDNEW", "AKIDNEW"):
        read(service)
        assert key_of(s3.asked[-1]) == key


def test_while_nobody_renews_them_old_keys_serve_on(serve, s3, play):
    metadata = play(Metadata(document("AKIDOLD", 100)))
    service = serve(**imds(metadata))
    for _ in range(4):
        read(service)
        assert key_of(s3.asked[-1]) == "AKIDOLD"
    # Once in vain, and then not for each request.
    assert sum(x.target == ROLE for x in metadata.asked) == 2


def test_a_service_that_has_gone_is_no_lack_of_keys(serve, s3, play):
    """Unsigned, all but public buckets would be gone too."""
    metadata = play(Metadata(document("AKIDOLD", 4)))
    service = serve(**imds(metadata))
    read(service)
    metadata.answer = lambda asked: (404, {}, b"")
    read(service)
    assert key_of(s3.asked[-1]) == "AKIDOLD"
    time.sleep(4.5)
    asked = len(s3.asked)
    for _ in range(2):
        service.zip([{"src": "s3://bucket/key"}]).refused()
    assert len(s3.asked) == asked


def test_keys_that_have_expired_are_not_used(serve, s3, play):
    metadata = play(Metadata(document("AKIDOLD", 2)))
    service = serve(**imds(metadata))
    read(service)
    time.sleep(2.5)
    service.zip([{"src": "s3://bucket/key"}]).refused()
    assert len(s3.asked) == 1


def test_the_token_of_a_container_is_read_at_each_renewal(serve, s3, play,
                                                          tmp_path):
    pot = play(lambda asked: (200, {}, document("AKIDPOT", 100)))
    path = tmp_path / "token"
    service = serve(**container(pot),
                    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=path)
    for token in ("the first", "the second", "the third, and a line\n"):
        path.write_text(token)
        read(service)
        assert pot.asked[-1].headers["authorization"] == token.strip()
    assert len(pot.asked) == 3
    assert "the second" not in service.pool.log()


@pytest.mark.parametrize("text", [None, ""], ids=["absent", "empty"])
def test_a_token_that_cannot_be_read_is_a_failure(serve, s3, play, tmp_path,
                                                  text):
    pot = play(lambda asked: (200, {}, document("AKIDPOT")))
    path = tmp_path / "token"
    if text is not None:
        path.write_text(text)
    service = serve(**container(pot),
                    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=path)
    said = service.zip([{"src": "s3://bucket/key"}]).refused()["files"][0]
    assert "token cannot be read" in said["reason"]
    assert not pot.asked and not s3.asked


@pytest.mark.parametrize("answer", [
    (500, {}, b""), (200, {}, b"<html>"), (200, {}, b"{}"),
    (200, {}, json.dumps({"AccessKeyId": 1}).encode()),
    (200, {}, b"x" * 100_000)], ids=["500", "html", "empty", "odd", "long"])
def test_a_container_that_gives_no_keys_is_a_failure(serve, s3, play, answer):
    """Reading on unsigned would hide it."""
    service = serve(**container(play(lambda asked: answer)))
    said = service.zip([{"src": "s3://bucket/key"}]).refused()["files"][0]
    assert said["src"] == "s3://bucket/key"
    assert not s3.asked
    assert "no AWS credentials" in service.pool.log()


@pytest.mark.parametrize("place", [container, imds])
def test_redirects_are_not_followed(serve, s3, play, place):
    other = play(lambda asked: (200, {}, document("AKIDSTOLEN")))
    server = play(lambda asked: (302, {"Location": other.url}, b""))
    serve(**place(server)).zip([{"src": "s3://bucket/key"}])
    assert server.asked and not other.asked


@pytest.mark.parametrize("uri", [
    "http://example.com/keys", "http://127.0.0.1.example.com/",
    "http://localhost.example.com/", "http://127.0.0.1@example.com/",
    "http://127.0.0.1:80@example.com/keys", "http://169.254.170.3/",
    "http://169.254.169.254/", "http://[fd00:ec2::24]/", "http://[::2]/",
    "http://2130706433/"])
def test_containers_live_near(serve, s3, uri):
    """Plain http to anywhere else would give the token away."""
    service = serve(AWS_CONTAINER_CREDENTIALS_FULL_URI=uri)
    said = service.zip([{"src": "s3://bucket/key"}]).refused()
    assert "refused" in said["files"][0]["reason"]
    assert not s3.asked


def test_no_metadata_service_means_no_keys(serve, s3, play):
    gone = play(lambda asked: (404, {}, b""))
    read(serve(**imds(gone)))
    assert key_of(s3.asked[-1]) == ""
    gone.stop()
    read(serve(**imds(gone)))
    assert key_of(s3.asked[-1]) == ""


def test_a_machine_without_a_role_has_no_keys(serve, s3, play):
    """EC2 gives it a session all the same; public buckets can be read."""
    metadata = Metadata()
    server = play(lambda asked: (404, {}, b"") if asked.target == ROLE
                  else metadata(asked))
    read(serve(**imds(server)))
    assert key_of(s3.asked[-1]) == ""
    assert server.asked[-1].target == ROLE


@pytest.mark.parametrize("left, key", [(False, ""), (True, "AKIDIMDS")])
def test_keys_that_are_taken_out_are_gone_after_a_reload(
        make_service, s3, play, tmp_path, left, key):
    path = tmp_path / "settings"
    others = imds(play(Metadata(document("AKIDIMDS")))) if left else {}
    path.write_text("AWS_ACCESS_KEY_ID=AKIDOLD\n"
                    f"AWS_SECRET_ACCESS_KEY={SECRET}\n")
    service = make_service(path, AWS_ENDPOINT_URL_S3=s3.url, **others)
    read(service)
    assert key_of(s3.asked[-1]) == "AKIDOLD"
    before = set(service.pool.workers())
    path.write_text("")
    service.pool.signal(signal.SIGHUP)
    pools.wait_until(lambda: service.pool.workers() and not before & set(
        service.pool.workers()), "new workers")
    read(service)
    assert key_of(s3.asked[-1]) == key


def test_https_may_be_far(serve):
    service = serve(AWS_CONTAINER_CREDENTIALS_FULL_URI="https://x.invalid/")
    said = service.zip([{"src": "s3://bucket/key"}]).refused()["files"][0]
    assert "refused" not in said["reason"]


def test_the_metadata_service_can_be_left_alone(serve, s3, play):
    metadata = play(Metadata(document("AKIDIMDS")))
    read(serve(**{**imds(metadata), "AWS_EC2_METADATA_DISABLED": "true"}))
    assert key_of(s3.asked[-1]) == "" and not metadata.asked


PLACES = {
    "ecs": ("169.254.170.2", "/v2/credentials/1?a=b", {
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/1?a=b"}),
    "ecs in full": ("169.254.170.2", "/keys", {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/keys"}),
    "eks": ("169.254.170.23", "/v1/credentials", {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI":
            "http://169.254.170.23/v1/credentials"}),
    "eks, IPv6": ("fd00:ec2::23", "/v1/credentials", {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI":
            "http://[fd00:ec2::23]/v1/credentials"}),
    "loopback": ("127.1.2.3", "/", {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.1.2.3"}),
    "loopback, IPv6": ("::1", "/", {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://[::1]:80/"}),
    "localhost": ("127.0.0.1", "/", {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://localhost/"}),
}


def at_home(make_service, play, address: str, answer, settings: dict):
    """What was asked for at port 80 of the address, and the key found."""
    def body():
        s3 = play(lambda asked: (200, {"ETag": '"1"'}, b"object"))
        server = play(answer, (address, 80))
        read(make_service(AWS_ENDPOINT_URL_S3=s3.url, **settings))
        return [x.target for x in server.asked], key_of(s3.asked[-1])

    if ":" in address and not network.has_ipv6():
        pytest.skip("this machine has no IPv6")
    ours = [] if address in ("::1", "127.0.0.1") else [address]
    return network.apart(body, *ours)


@pytest.mark.parametrize("address, target, settings", PLACES.values(),
                         ids=PLACES)
def test_a_container_is_asked_at_its_own_address(make_service, play, address,
                                                 target, settings):
    asked = at_home(make_service, play, address,
                    lambda asked: (200, {}, document("AKIDPOT")), settings)
    assert asked == ([target], "AKIDPOT")


def test_the_metadata_service_is_asked_at_its_own_address(make_service, play):
    asked, key = at_home(make_service, play, "169.254.169.254",
                         Metadata(document("AKIDIMDS")),
                         {"AWS_EC2_METADATA_DISABLED": "false"})
    assert asked[-1] == ROLE + "the-role" and key == "AKIDIMDS"
