#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""zipstream.py SERVICE OUT.zip LINK...: makes a link for a zip of the links,
prints it, and downloads it; goes on where it broke off, if it does.

The standard library is enough.  ZIPSTREAM_KEY is the API key, if any.
"""

import http.client
import json
import os
import pathlib
import sys
import urllib.error
import urllib.request


def call(method: str, url: str, document=None) -> dict:
    """A JSON call; RuntimeError with the service's own words."""
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get("ZIPSTREAM_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(url, body, headers, method=method)
    with opened(request) as answer:
        return json.load(answer)


def opened(request: urllib.request.Request):
    try:
        return urllib.request.urlopen(request, timeout=300)
    except urllib.error.HTTPError as error:
        answer = json.load(error)
        reasons = [f"{f['src']}: {f['reason']}" for f in answer.get("files",
                                                                    [])]
        raise RuntimeError("\n".join([answer["message"], *reasons])) from None


def download(url: str, path: str, attempts: int = 5) -> None:
    """The whole file, or an error: a short one is fetched on from its end."""
    have, headers, total = 0, {}, None
    for _ in range(attempts):
        with opened(urllib.request.Request(url, headers=headers)) as answer, \
                open(path, "r+b" if answer.status == 206 else "wb") as file:
            have = file.seek(0, os.SEEK_END)
            if total is None and answer.length is not None:
                total = answer.length
            broken = False
            try:
                while piece := answer.read(1 << 16):
                    have += file.write(piece)
            except (OSError, http.client.HTTPException):
                broken = True
            tag = answer.headers["ETag"]
        if have == total or (total is None and not broken):
            return
        if tag is None:
            headers, total = {}, None  # it cannot be resumed: from the start
            continue
        headers = {"Range": f"bytes={have}-", "If-Range": tag}
    raise RuntimeError(f"the zip broke off after {have} bytes")


def main(service: str, out: str, *links: str) -> None:
    service = service.rstrip("/")
    bundle = call("POST", f"{service}/", {
        "filename": os.path.basename(out),
        "files": [{"src": link} for link in links]})
    print("share:", f"{service}/{bundle['id']}")
    print("manage:", f"{service}/{bundle['id']}/{bundle['secret']}")
    try:
        download(f"{service}/{bundle['id']}", out)
    except (OSError, RuntimeError):
        pathlib.Path(out).unlink(missing_ok=True)
        raise


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (OSError, RuntimeError) as problem:
        sys.exit(str(problem))
