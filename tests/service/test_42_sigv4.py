# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signatures compared with botocore's, for thousands of odd requests.

tests/unit/sigv4_sample.c signs them with the program's own module, in one
process; botocore is the SDK's implementation as Debian ships it.
"""

import datetime
import hashlib
import random
import subprocess
import urllib.parse

import pool as pools
import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

EMPTY = hashlib.sha256(b"").hexdigest()
MANY = 3000

# Bytes that matter somewhere, more often than chance would have them.
ODD = "/..//?#%%++ &=;:,~-_.!*'()$@\"<>[]{}|\\^`\x01\x7fäß€日本🎉Ａaz09AZ"


class Request:
    """One request that was made up, in the words of both sides."""

    def __init__(self, rng: random.Random):
        def text(longest: int, letters: str = ODD) -> str:
            return "".join(rng.choices(letters, k=rng.randrange(longest)))

        def name() -> str:
            return rng.choice(("x-amz-", "My-", "")) + "h" + text(
                9, "abcXYZ-019")

        self.presigned = rng.random() < 0.4
        self.expires = rng.randrange(1, 604801)
        self.method = rng.choice(("GET", "HEAD", "PUT", "POST", "DELETE"))
        self.host = rng.choice(("localhost:8080", "b.s3.amazonaws.com",
                                "dynamodb.eu-north-1.amazonaws.com"))
        self.path = "/" + text(rng.choice((4, 20, 300)))
        self.region = rng.choice(("us-west-2", "eu-central-1", "cn-north-1"))
        self.service = rng.choice(("s3", "s3", "dynamodb", "execute-api"))
        self.key = "AKIA" + text(17, "ABCDEFXYZ0123")
        self.secret = text(60, "abcXYZ019/+=")
        self.token = rng.choice(("", text(400, "abcXYZ019/+=")))
        self.time = rng.randrange(10**9, 4 * 10**9)
        # The SDK's presigner knows no name that comes twice.
        self.query = list({text(12) or "q": text(20)
                           for _ in range(rng.choice((0, 1, 3, 9)))}.items())
        if self.query and not self.presigned and rng.random() < 0.3:
            self.query += [(self.query[0][0], text(5))]
        visible = "abc XYZ019  ,;=\"\t"
        self.headers = [(name(), text(30, visible))
                        for _ in range(rng.choice((0, 1, 4, 12)))]
        if self.headers and rng.random() < 0.3:
            self.headers += [(self.headers[0][0].upper(), text(9, visible))]
        rng.shuffle(self.query)
        self.body = text(50).encode()

    @property
    def payload(self) -> str:
        if not self.presigned:
            return hashlib.sha256(self.body).hexdigest()
        return "UNSIGNED-PAYLOAD" if self.service == "s3" else EMPTY

    def line(self) -> str:
        words = [str(self.expires) if self.presigned else "", self.method,
                 self.host, self.path, self.payload, self.region,
                 self.service, self.key, self.secret, self.token,
                 str(self.time), str(len(self.query))]
        for pair in (*self.query, *self.headers):
            words += pair
        return " ".join("." + word.encode().hex() for word in words)

    def url(self) -> str:
        path = urllib.parse.quote(self.path, safe="/~")
        return f"https://{self.host}{path}"

    def botocores(self) -> "tuple[str, str]":
        """What the SDK makes of it: the signature, and what was signed."""
        kinds = {(False, False): auth.SigV4Auth,
                 (True, False): auth.S3SigV4Auth,
                 (False, True): auth.SigV4QueryAuth,
                 (True, True): auth.S3SigV4QueryAuth}
        keys = Credentials(self.key, self.secret, self.token or None)
        more = {"expires": self.expires} if self.presigned else {}
        signer = kinds[self.service == "s3", self.presigned](
            keys, self.service, self.region, **more)
        query = dict(self.query) if self.presigned else self.query
        request = AWSRequest(self.method, self.url(), params=query,
                             data=b"" if self.presigned else self.body)
        for name, value in self.headers:
            request.headers.add_header(name, value)
        when = datetime.datetime.fromtimestamp(self.time,
                                               datetime.timezone.utc)
        request.context["timestamp"] = when.strftime("%Y%m%dT%H%M%SZ")
        signer._modify_request_before_signing(request)
        canonical = signer.canonical_request(request)
        words = signer.string_to_sign(request, canonical)
        signer._inject_signature_to_request(
            request, signer.signature(words, request))
        if self.presigned:
            return urllib.parse.urlsplit(request.url).query, canonical
        return request.headers["Authorization"], canonical


def ours(requests: list) -> list:
    done = subprocess.run([pools.unit("sigv4_sample")], text=True,
                          input="".join(r.line() + "\n" for r in requests),
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def pairs(query: str) -> list:
    return sorted(urllib.parse.parse_qsl(query, True, strict_parsing=True))


@pytest.mark.parametrize("seed", range(2))
def test_they_agree(seed):
    rng = random.Random(seed)
    requests = [Request(rng) for _ in range(MANY // 2)]
    for request, mine in zip(requests, ours(requests), strict=True):
        theirs, canonical = request.botocores()
        if request.presigned:
            assert pairs(mine) == pairs(theirs), canonical
            assert "&X-Amz-Signature=" in mine
        else:
            assert mine == theirs, canonical
