#!/usr/bin/python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""A reverse proxy that lets only well signed requests pass, as AWS does.

DynamoDB Local believes any signature; this stands in front of it and checks
each with Debian's botocore, after decoding and encoding the path and query
anew, so that what is sloppily encoded fails here as it would there.

    sigv4_proxy.py UPSTREAM_PORT SERVICE REGION KEY SECRET [TOKEN]

prints its port.  Each line of its standard input is a JSON list of faults,
and is answered by a line with the operations seen since the last one.  A
fault: `operation` (any when absent), `times`, `status` and `body` of the
answer, or `drop` to hang up; with `after`, the request is passed on first.
It ends when its standard input does.
"""

import contextlib
import datetime
import hashlib
import hmac
import http.client
import http.server
import json
import re
import sys
import threading
import time
import urllib.parse

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)"
    r"/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$")
PATIENCE = 300  # seconds that clocks may differ
HOP_BY_HOP = ("content-length", "transfer-encoding", "connection", "date",
              "server")


class Refused(Exception):
    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


class Judge:
    def __init__(self, service, region, key, secret, token=""):
        self.scope = (region, service)
        self.key = key
        self.secret = secret
        self.token = token

    def check(self, method: str, target: str, headers, body: bytes):
        """Raises Refused unless it is signed as it must be."""
        match = AUTHORIZATION.match(headers.get("Authorization", ""))
        if not match:
            raise Refused("MissingAuthenticationTokenException",
                          "Request is missing Authentication Token")
        key, day, region, service, names, signature = match.groups()
        if key != self.key or headers.get(
                "X-Amz-Security-Token", "") != self.token:
            raise Refused("UnrecognizedClientException",
                          "The security token in the request is invalid.")
        if (region, service) != self.scope:
            raise Refused("InvalidSignatureException",
                          "Credential should be scoped to another place.")
        names = names.split(";")
        self.check_headers(names, headers)
        self.check_time(day, headers.get("X-Amz-Date", ""))
        payload = headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
        if payload not in ("UNSIGNED-PAYLOAD",
                           hashlib.sha256(body).hexdigest()):
            raise Refused("InvalidSignatureException", "Other content")
        mine = self.sign(method, target, names, headers, body)
        if not hmac.compare_digest(mine, signature):
            raise Refused("InvalidSignatureException",
                          "The request signature we calculated does not"
                          " match the signature you provided.")

    @staticmethod
    def check_headers(names: list, headers):
        needed = {name.lower() for name in headers.keys()
                  if name.lower().startswith("x-amz-")}
        missing = (needed | {"host", "x-amz-date"}) - set(names)
        if missing or names != sorted(names):
            raise Refused("InvalidSignatureException",
                          f"Not signed, or not in order: {missing}")

    @staticmethod
    def check_time(day: str, stamp: str):
        with contextlib.suppress(ValueError):
            when = datetime.datetime.strptime(
                stamp, "%Y%m%dT%H%M%SZ").replace(
                    tzinfo=datetime.timezone.utc)
            off = abs(when.timestamp() - time.time())
            if stamp.startswith(day) and off < PATIENCE:
                return
        raise Refused("InvalidSignatureException", "Signature expired")

    def sign(self, method, target, names, headers, body) -> str:
        parts = urllib.parse.urlsplit(target)
        path = urllib.parse.quote(urllib.parse.unquote(parts.path),
                                  safe="/~")
        query = urllib.parse.parse_qsl(parts.query, keep_blank_values=True)
        request = AWSRequest(method, f"http://{headers['Host']}{path}",
                             data=body, params=query)
        for name in names:
            request.headers[name] = headers[name]
        kind = S3SigV4Auth if self.scope[1] == "s3" else SigV4Auth
        signer = kind(Credentials(self.key, self.secret), self.scope[1],
                      self.scope[0])
        request.context["timestamp"] = headers["X-Amz-Date"]
        words = signer.string_to_sign(request,
                                      signer.canonical_request(request))
        return signer.signature(words, request)


class Script:
    """The faults that are yet to be, and the operations that were."""

    def __init__(self):
        self.lock = threading.Lock()
        self.faults: list = []
        self.seen: list = []

    def next(self, operation: str) -> "dict | None":
        with self.lock:
            self.seen.append(operation)
            for fault in self.faults:
                if fault.get("operation", operation) != operation:
                    continue
                fault["times"] = fault.get("times", 1) - 1
                if not fault["times"]:
                    self.faults.remove(fault)
                return fault
        return None

    def renew(self, faults: list) -> list:
        with self.lock:
            seen, self.seen, self.faults = self.seen, [], faults
        return seen


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    judge: Judge
    script: Script
    upstream: int

    def answer(self, status: int, body: bytes, headers: list = ()):
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def error(self, code: str, message: str):
        document = {"__type": "com.amazon.coral.service#" + code,
                    "message": message}
        self.answer(400, json.dumps(document).encode())

    def pass_on(self, body: bytes):
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream)
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body,
                               dict(self.headers.items()))
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.getheaders()

    def handle_request(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        operation = self.headers.get("X-Amz-Target", "").split(".")[-1]
        fault = self.script.next(operation)
        if fault and not fault.get("after"):
            return self.fail(fault)
        try:
            self.judge.check(self.command, self.path, self.headers, body)
        except Refused as refused:
            return self.error(refused.code, str(refused))
        answer = self.pass_on(body)
        return self.fail(fault) if fault else self.answer(*answer)

    def fail(self, fault: dict):
        if fault.get("drop"):
            self.close_connection = True
        else:
            self.answer(fault["status"], fault.get("body", "").encode())

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = handle_request

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


def main(upstream: str, *scope: str):
    Handler.upstream = int(upstream)
    Handler.judge = Judge(*scope)
    Handler.script = Script()
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    for line in sys.stdin:
        seen = Handler.script.renew(json.loads(line))
        print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
