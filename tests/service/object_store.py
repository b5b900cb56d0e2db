# SPDX-License-Identifier: AGPL-3.0-or-later
"""OpenStack Swift with its s3api: an S3 server that verifies signatures.

One node with one replica, all in a folder of the test's; memcached keeps the
tokens, as Swift wants it.
"""

import os
import pathlib
import pwd
import socket
import subprocess

import botocore.session
import requests
import servers
from botocore.config import Config
from pool import wait_until
from swift.common.ring import RingBuilder

REGION, KEY, SECRET = "us-east-1", "test:tester", "testing"

SERVER = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {etc}
devices = {node}
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
workers = 0
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""

FILTERS = ("catch_errors", "gatekeeper", "healthcheck", "cache",
           "listing_formats", "bulk", "s3api", "tempauth", "copy", "slo",
           "dlo")

SETTINGS = {
    "cache": "memcache_servers = 127.0.0.1:{memcached}",
    "s3api": f"location = {REGION}\ns3_acl = false\n"
             "auth_pipeline_check = true\nstorage_domain = s3.localhost",
    "tempauth": f"user_test_tester = {SECRET} .admin",
}


class Swift:
    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.etc, self.node = folder / "etc", folder / "node"
        self.processes: list = []
        self.ports = {name: servers.free_port() for name in (
            "proxy", "account", "container", "object", "memcached")}

    def start(self) -> "Swift":
        self.etc.mkdir()
        (self.node / "d1").mkdir(parents=True)
        user = pwd.getpwuid(os.getuid()).pw_name
        for name in ("account", "container", "object"):
            self.make_ring(name)
            self.write(name, SERVER.format(
                name=name, port=self.ports[name], user=user, etc=self.etc,
                node=self.node))
        self.write("proxy", self.proxy_settings(user))
        try:
            self.launch("memcached", "-l", "127.0.0.1", "-U", "0", "-p",
                        str(self.ports["memcached"]), "-u", "nobody")
            for name in ("account", "container", "object"):
                self.launch_server(name)
            self.open()
        except BaseException:
            self.stop()
            raise
        self.endpoint = f"http://127.0.0.1:{self.ports['proxy']}"
        session = botocore.session.Session()
        session.set_credentials(KEY, SECRET)
        self.client = session.create_client(
            "s3", REGION, endpoint_url=self.endpoint, config=Config(
                s3={"addressing_style": "path"}, proxies={}))
        self.settings = {
            "AWS_ENDPOINT_URL_S3": self.endpoint, "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        return self

    def write(self, name: str, text: str):
        (self.etc / f"{name}-server.conf").write_text(text)

    def make_ring(self, name: str):
        builder = RingBuilder(4, 1, 0)
        builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1",
                         "port": self.ports[name], "device": "d1",
                         "weight": 1, "replication_ip": "127.0.0.1",
                         "replication_port": self.ports[name], "meta": ""})
        builder.rebalance()
        builder.get_ring().save(str(self.etc / f"{name}.ring.gz"))

    def proxy_settings(self, user: str) -> str:
        lines = ["[DEFAULT]", "bind_ip = 127.0.0.1",
                 f"bind_port = {self.ports['proxy']}", f"user = {user}",
                 f"swift_dir = {self.etc}", "workers = 0", "[pipeline:main]",
                 f"pipeline = {' '.join(FILTERS)} proxy-server",
                 "[app:proxy-server]", "use = egg:swift#proxy",
                 "account_autocreate = true"]
        for name in FILTERS:
            egg = "memcache" if name == "cache" else name
            lines += [f"[filter:{name}]", f"use = egg:swift#{egg}",
                      SETTINGS.get(name, "").format(**self.ports)]
        return "\n".join(lines) + "\n"

    def launch_server(self, name: str):
        self.launch(f"swift-{name}-server", self.etc / f"{name}-server.conf")

    def open(self):
        """Lets clients in; the data is there all the time."""
        self.launch_server("proxy")
        wait_until(self.is_up, "Swift", 60)

    def close(self):
        proxy = self.processes.pop()
        proxy.terminate()
        proxy.wait(20)

    def launch(self, program: str, *arguments):
        with open(self.folder / f"{program}.log", "ab") as log:
            self.processes.append(subprocess.Popen(
                [program, *arguments], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log))

    def is_up(self) -> bool:
        for process in self.processes:
            assert process.poll() is None, f"{process.args[0]} has ended"
        with socket.socket() as probe:
            port = self.ports["proxy"]
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return False
        url = f"http://127.0.0.1:{port}/healthcheck"
        return requests.get(url, timeout=10).ok

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(20)

    def bucket(self, name: str) -> str:
        self.client.create_bucket(Bucket=name)
        return name

    def put(self, bucket: str, key: str, body, **more):
        self.client.put_object(Bucket=bucket, Key=key, Body=body, **more)
