# SPDX-License-Identifier: AGPL-3.0-or-later
"""An export goes on alone, also where Apache gives out the processes."""

import threading

import conftest
import pytest
import scripted
import web_servers
from pool import wait_until

PATIENCE = 20  # seconds that S3 holds a part back at most


@pytest.mark.parametrize("kind", [web_servers.ApacheFcgid,
                                  web_servers.SharedHosting])
def test_nobody_waits_for_an_export(kind, origin):
    released = threading.Event()

    def answer(asked: scripted.Asked) -> tuple:
        if asked.method == "PUT":
            released.wait(PATIENCE)
            return 200, {"ETag": '"part"'}, b""
        return 200, {}, b"<X><UploadId>one</UploadId></X>"

    s3 = scripted.Scripted(answer)
    scene = web_servers.Scene({
        **conftest.IMPATIENT, "AWS_ENDPOINT_URL_S3": s3.url,
        "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s",
        "EXPORT_ALLOW": "bucket"}).start()
    there = web_servers.Deployment(scene, kind).start()
    try:
        made = there.post("/bundle", {
            "files": [origin.file("a.jpg", size="1m").entry()],
            "to": "s3://bucket/k.zip"})
        assert made.status_code == 202, made.text
        path = made.json()["status"].removeprefix(there.prefix)
        assert there.get("/health-check").status_code == 200
        assert there.get(path).json()["downloads"] == []
        released.set()
        ended = wait_until(lambda: there.get(path).json()["downloads"],
                           "the export's end")
        assert ended[0]["outcome"] == "done"
    finally:
        released.set()
        there.stop()
        scene.stop()
        s3.stop()
