# SPDX-License-Identifier: AGPL-3.0-or-later
"""The suite of the API once more, on every web server of deploy/.

Those tests of test_10_api whose outcome may depend on the server: routes,
methods, headers, bodies.  What changes is the `service` that they talk to,
where each request brings its key as Authorization.
"""

import contextlib
import http.client

import pytest

from pool import wait_until
from test_10_api import (  # noqa: F401
    pictures, said, test_append, test_cors_on_every_answer,
    test_create_and_show, test_delete, test_filename_beyond_ascii,
    test_head_is_get_without_a_body, test_health_check,
    test_home_is_no_page_for_api_clients, test_json_in_a_form_field,
    test_json_with_a_charset, test_multipart_form,
    test_post_to_an_unknown_path, test_preflight, test_unknown_path,
    test_urlencoded_form, test_wrong_method, test_zip_headers,
    test_zip_is_never_encoded_again)
from web_servers import SharedHosting


@pytest.fixture
def service(deployment):
    return deployment


@pytest.fixture(params=["first", "second"])
def mounted(request, deployment, monkeypatch):
    """Each of the places where the shipped config mounts it."""
    mounts = deployment.server.mounts
    if request.param == "second":
        if len(mounts) < 2:
            pytest.skip("it is mounted once")
        monkeypatch.setattr(deployment, "prefix", mounts[1])
    return deployment


@pytest.fixture(autouse=True)
def servers_refuse_nul(request):
    callspec = getattr(request.node, "callspec", None)
    if callspec and callspec.params.get("path") == "/%00":
        pytest.skip("web servers answer this themselves")


def raw(deployment, target: str, method: str = "GET") -> tuple:
    """Status, Location and body; the target goes out as it is."""
    connection = http.client.HTTPConnection("127.0.0.1",
                                            deployment.server.port, timeout=20)
    with contextlib.closing(connection):
        connection.request(method, target)
        answer = connection.getresponse()
        return answer.status, answer.headers["Location"], answer.read()


@pytest.mark.parametrize("spelt", [
    "/health-check", "/health-check/", "//health-check", "/./health-check",
    "/x/../health-check", "/h%65alth-check", "/health-check?x=/y&z=%2F%2B"])
def test_route_however_it_is_spelt(mounted, spelt):
    assert raw(mounted, mounted.prefix + spelt) == (200, None, b"OK")


def test_mount_itself_and_what_begins_like_it(deployment):
    if "/zip" not in deployment.server.mounts:
        pytest.skip("it is mounted at the root alone")
    status, location, _ = raw(deployment, "/zip", "DELETE")
    if deployment.name == SharedHosting.name:  # a folder is one to Apache
        assert status == 301 and location.endswith("/zip/")
    else:
        assert status == 405
    for path in ("/zipper", "/zipper/", "/zipper/health-check"):
        assert raw(deployment, path)[0] == 404
    for path in ("/zipx/../zip/health-check", "/z%69p/health-check"):
        assert raw(deployment, path) == (200, None, b"OK")


def test_request_ids_lead_to_the_log(service):
    id_ = service.get("/health-check").headers["X-Request-Id"]
    wait_until(lambda: id_ in service.pool.log(), "the line in the log", 5)


def test_authorization_is_needed_and_arrives(mounted):
    document = {"filename": "a", "files": []}
    for wrong in ("", "Bearer something else"):
        answer = mounted.post("/", document, headers={"Authorization": wrong})
        said(answer, 401)
    assert mounted.post("/", document).status_code == 201
