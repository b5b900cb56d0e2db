# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every way to put the program behind a web server, as deploy/ ships it.

A `Deployment` is started from the files of its folder; the tests supply what
the distribution does (modules to load, log and pid files) and put ports and
paths of their own in the place of the real ones.  All of them share one
scene: a pool, its settings and its bundles.
"""

import contextlib
import copy
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import pool as pools
import service
from pool import ROOT, wait_until
from servers import free_port

DEPLOY = ROOT / "deploy"
APACHE_MODULES = pathlib.Path("/usr/lib/apache2/modules")
USER = "www-data"
KEY = "only-by-authorization"
TABLE = "table of web servers"  # a property of the test that has made it

APACHE_FRAME = """
ServerRoot {folder}
ServerName localhost
PidFile {folder}/apache.pid
ErrorLog {folder}/server.log
Listen 127.0.0.1:{port}
User {user}
Group {user}
Mutex file:{folder}
# Debian has 5; a cut of known length is seen when it is over.
KeepAliveTimeout 1
TypesConfig /etc/mime.types
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule http2_module {modules}/mod_http2.so
Protocols h2c http/1.1
{load}
<Directory />
	Require all denied
</Directory>
<IfModule mod_fcgid.c>
	FcgidIPCDir {folder}/fcgid
	FcgidProcessTableFile {folder}/fcgid_shm
	AddHandler fcgid-script .fcgi
</IfModule>
<IfModule mod_cgid.c>
	ScriptSock {folder}/cgid.sock
</IfModule>
Include {folder}/site.conf
"""
# What Debian enables, and what each deployment adds by a2enmod.
APACHE_BASE = ("alias auth_basic authn_core authz_core authz_host autoindex "
               "deflate dir env filter mime negotiation reqtimeout setenvif "
               "rewrite").split()

NGINX_FRAME = """
user {user};
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/server.log info;
daemon off;
events {{ worker_connections 768; }}
http {{
	sendfile on;
	tcp_nopush on;
	gzip on;
	access_log off;
	client_body_temp_path {folder}/body;
	fastcgi_temp_path {folder}/fastcgi;
	proxy_temp_path {folder}/proxy;
	uwsgi_temp_path {folder}/uwsgi;
	scgi_temp_path {folder}/scgi;
	include {folder}/site.conf;
}}
"""


def is_root() -> bool:
    return os.geteuid() == 0


def give(path: pathlib.Path):
    """To the web server's user, as an operator would."""
    if is_root():
        shutil.chown(path, USER, USER)


def new_folder(parent: "pathlib.Path | None" = None) -> pathlib.Path:
    """One that the web server's user reaches and may write to; pytest's own
    are for root alone."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="zipstream-", dir=parent))
    folder.chmod(0o755)
    give(folder)
    return folder


def render(source: pathlib.Path, target: pathlib.Path, real: dict):
    """Copies a shipped file, with our own in the place of its paths.

    Each of them must be there: the tests know what they replace.
    """
    text = source.read_text()
    for name, value in real.items():
        assert name in text, f"{source} has no {name}"
        text = text.replace(name, str(value))
    target.write_text(text)
    target.chmod(source.stat().st_mode & 0o777)


def descendants(pid: int) -> list:
    found = [pid]
    for pid_ in found:
        found += pools.children(pid_)
    return found


def is_program(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/exe").endswith("/zipstream")
    return False


class Scene:
    """What all deployments share."""

    def __init__(self, settings: dict):
        self.folder = new_folder()
        # Where everybody may run it: the tree may lie in a private folder.
        self.program = shutil.copy(pools.binary(), self.folder / "zipstream")
        self.settings = {"DB_CNXN": self.folder / "bundles.db",
                         "API_KEYS": KEY, **settings}
        if is_root():
            self.settings["RUN_USER"] = USER
        self.pool = pools.Pool(self.folder, self.settings)
        self.env_file = self.folder / "zipstream.env"
        # Those who start the program themselves find all of it in a file.
        lines = pools.environment(self.folder, self.settings).items()
        self.env_file.write_text("".join(f"{k}='{v}'\n" for k, v in lines))
        self.env_file.chmod(0o644)

    def start(self) -> "Scene":
        self.pool.start()
        return self

    def stop(self):
        self.pool.stop()
        shutil.rmtree(self.folder)


class Server:
    """A web server's process in a folder of its own."""

    name = ""  # of its folder in deploy/, where it has one of its own
    title = ""  # in the README's table
    shipped = ()  # the files of deploy/ that it is started from
    mounts = ("", "/zip")

    def __init__(self, scene: Scene):
        self.scene = scene
        self.folder = new_folder(scene.folder)
        self.port = free_port()
        # Where it takes HTTP/2 from those who know that it does.
        self.http2_port = self.port
        self.process = None

    def command(self) -> list:
        raise NotImplementedError

    def configure(self):
        raise NotImplementedError

    def start(self) -> "Server":
        self.configure()
        env = {"PATH": os.environ["PATH"] + ":/usr/sbin", "LANG": "C.UTF-8"}
        with open(self.folder / "server.out", "ab") as out:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, env=env, cwd=self.folder)
        wait_until(self.is_up, f"{self.name}'s port")
        return self

    def is_up(self) -> bool:
        code = self.process.poll()
        assert code is None, f"{self.name} ended with {code}:\n{self.log()}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self) -> str:
        paths = (self.folder / "server.out", self.folder / "server.log")
        return "".join(p.read_text(errors="replace")
                       for p in paths if p.exists())

    def processes(self) -> list:
        """The web server's own, without the program's."""
        return [p for p in descendants(self.process.pid) if not is_program(p)]

    def programs(self) -> list:
        return [p for p in descendants(self.process.pid) if is_program(p)]

    def stop(self, number: int = signal.SIGTERM, seconds: float = 20.0) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            for pid in descendants(self.process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return self.process.wait(10)


class Lighttpd(Server):
    def site(self) -> tuple:
        """The shipped file, and what it names besides lighttpd's own."""
        raise NotImplementedError

    def configure(self):
        source, paths = self.site()
        real = {"server.port = 80":
                f'server.port = {self.port}\nserver.bind = "127.0.0.1"',
                "/var/www/html": self.folder,
                "/var/log/lighttpd/error.log": self.folder / "server.log",
                "/run/lighttpd.pid": self.folder / "lighttpd.pid",
                "/var/cache/lighttpd/uploads": self.folder, **paths}
        render(source, self.folder / "lighttpd.conf", real)

    def command(self) -> list:
        return ["lighttpd", "-D", "-f", self.folder / "lighttpd.conf"]


class Apache(Server):
    modules = ()

    def site(self):
        """Puts site.conf and what it needs into the folder."""
        raise NotImplementedError

    def configure(self):
        self.site()
        load = "\n".join(f"LoadModule {m}_module {APACHE_MODULES}/mod_{m}.so"
                         for m in (*APACHE_BASE, *self.modules))
        (self.folder / "apache.conf").write_text(APACHE_FRAME.format(
            folder=self.folder, port=self.port, user=USER, load=load,
            modules=APACHE_MODULES))

    def command(self) -> list:
        return ["apache2", "-D", "FOREGROUND", "-f",
                self.folder / "apache.conf"]

    def address(self) -> dict:
        return {"*:80": f"127.0.0.1:{self.port}"}


class Nginx(Server):
    def site(self):
        raise NotImplementedError

    def configure(self):
        self.site()
        (self.folder / "nginx.conf").write_text(NGINX_FRAME.format(
            folder=self.folder, user=USER))

    def command(self) -> list:
        return ["nginx", "-c", self.folder / "nginx.conf", "-e",
                self.folder / "server.log"]


# -- the deployments -------------------------------------------------------

SOCKET = "/run/zipstream/zipstream.sock"


def wrapper(server: Server):
    """The script that the web server starts, made to find the program."""
    shipped = DEPLOY / server.shipped[1]
    target = server.folder / shipped.name
    render(shipped, target, {
        "/usr/local/bin/zipstream": server.scene.program,
        "/etc/zipstream/zipstream.env": server.scene.env_file})
    give(target)


class LighttpdPool(Lighttpd):
    name, title = "lighttpd", "lighttpd, pool"
    shipped = ("lighttpd/lighttpd.conf",)

    def site(self) -> tuple:
        return (DEPLOY / self.shipped[0],
                {SOCKET: self.scene.pool.socket})


class LighttpdBinPath(Lighttpd):
    name, title = "lighttpd-bin-path", "lighttpd, `bin-path`"
    shipped = ("lighttpd/bin-path.conf",)
    mounts = ("",)
    workers = 3

    def site(self) -> tuple:
        return DEPLOY / self.shipped[0], {
            "/run/lighttpd/zipstream.sock": self.folder / "app.sock",
            "/usr/local/bin/zipstream": self.scene.program,
            "/etc/zipstream/zipstream.env": self.scene.env_file,
            "--workers 32": f"--workers {self.workers}"}


class LighttpdCgi(Lighttpd):
    name, title = "lighttpd-cgi", "lighttpd, CGI"
    shipped = ("cgi/lighttpd.conf", "cgi/zipstream.cgi")

    def site(self) -> tuple:
        wrapper(self)
        return (DEPLOY / self.shipped[0],
                {"/usr/lib/cgi-bin": self.folder})


class ApacheFcgid(Apache):
    name, title = "apache-mod_fcgid", "Apache, mod_fcgid"
    shipped = ("apache-mod_fcgid/zipstream.conf",
               "apache-mod_fcgid/zipstream.fcgi")
    modules = ("fcgid",)

    def site(self):
        wrapper(self)
        render(DEPLOY / self.shipped[0],
               self.folder / "site.conf",
               {**self.address(), "/usr/lib/cgi-bin": self.folder})


class ApacheProxy(Apache):
    name, title = "apache-proxy_fcgi", "Apache, mod_proxy_fcgi"
    shipped = ("apache-proxy_fcgi/zipstream.conf",)
    modules = ("proxy", "proxy_fcgi")

    def site(self):
        render(DEPLOY / self.shipped[0],
               self.folder / "site.conf",
               {**self.address(), SOCKET: self.scene.pool.socket})


class ApacheCgi(Apache):
    name, title = "apache-cgi", "Apache, CGI"
    shipped = ("cgi/apache.conf", "cgi/zipstream.cgi")
    modules = ("cgid",)

    def site(self):
        wrapper(self)
        render(DEPLOY / self.shipped[0], self.folder / "site.conf",
               {**self.address(), "/usr/lib/cgi-bin": self.folder})


# What a hoster gives: folders, and what .htaccess may do in them.
SHARED_HOST = """
<Directory {root}>
	Options FollowSymLinks
	AllowOverride All
	Require all granted
</Directory>
<VirtualHost 127.0.0.1:{port}>
	DocumentRoot {root}/site
</VirtualHost>
<VirtualHost 127.0.0.1:{port}>
	ServerName sub.example
	DocumentRoot {root}/site/zip
</VirtualHost>
"""


class SharedHosting(Apache):
    """Uploaded as /zip/ of a site, with a sub-domain that begins there."""

    name, title = "shared-hosting", "shared hosting, `.htaccess`"
    shipped = ("shared-hosting/.htaccess", "shared-hosting/zipstream.fcgi")
    mounts = ("/zip",)
    modules = ("fcgid", "cgid")

    def site(self):
        uploaded = self.folder / "site/zip"
        uploaded.parent.mkdir()
        subprocess.run([ROOT / "tools/shared-hosting", pools.binary(),
                        uploaded], check=True)
        self.edit(uploaded / ".env")
        for path in (uploaded, *uploaded.rglob("*")):
            give(path)
        (self.folder / "site.conf").write_text(SHARED_HOST.format(
            root=self.folder, port=self.port))

    def edit(self, env: pathlib.Path):
        """The one line; and what the origin of the tests needs."""
        line = "#API_KEYS=put-a-long-random-word-here"
        render(env, env, {line: f"API_KEYS={KEY}"})
        settings = pools.environment(self.folder, self.scene.settings)
        for name in ("API_KEYS", "STATE_DIR", "DB_CNXN", "RUN_USER"):
            settings.pop(name, None)
        with env.open("a") as f:
            f.writelines(f"{k}='{v}'\n" for k, v in settings.items())


class NginxPool(Nginx):
    name, title = "nginx", "nginx"
    shipped = ("nginx/zipstream.conf", "nginx/zipstream.inc")

    def __init__(self, scene: Scene):
        super().__init__(scene)
        self.http2_port = free_port()  # this one takes nothing else there

    def site(self):
        include = self.folder / "zipstream.inc"
        render(DEPLOY / self.shipped[1], include,
               {SOCKET: self.scene.pool.socket})
        render(DEPLOY / self.shipped[0], self.folder / "site.conf",
               {"listen 80": f"listen 127.0.0.1:{self.port}; "
                f"listen 127.0.0.1:{self.http2_port} http2",
                "/etc/nginx/zipstream.inc": include})


class NginxFront(Nginx):
    """In front of another web server."""

    name, title = "nginx-front", "nginx in front"
    shipped = ("nginx/front.conf",)

    def __init__(self, scene: Scene, behind: Server):
        super().__init__(scene)
        self.behind = behind

    def site(self):
        render(DEPLOY / self.shipped[0], self.folder / "site.conf",
               {"listen 80": f"listen 127.0.0.1:{self.port}",
                "http://127.0.0.1:8080":
                f"http://127.0.0.1:{self.behind.port}"})


SERVERS = (LighttpdPool, LighttpdBinPath, NginxPool, ApacheProxy, ApacheFcgid,
           SharedHosting, LighttpdCgi, ApacheCgi)



class Logs:
    """Of all that takes part, in the place of a pool's own."""

    def __init__(self, server: Server, pool: pools.Pool):
        self.server = server
        self.pool = pool

    def log(self) -> str:
        return self.server.log() + self.pool.log()

    def check_sanitizers(self):
        said = self.log()
        found = pools.SANITIZER.search(said)
        assert not found, said[max(0, found.start() - 200):][:4000]


class Deployment(service.Service):
    """A client's view of one of them: what service.Service offers, with the
    key in each request."""

    def __init__(self, scene: Scene, kind: type):
        self.scene = scene
        self.folder = scene.folder
        self.server = kind(scene)
        self.pool = Logs(self.server, scene.pool)
        self.prefix = self.server.mounts[0]
        self.front = None

    @property
    def name(self) -> str:
        return self.server.name

    def start(self) -> "Deployment":
        self.server.start()
        return self

    def stop(self):
        if self.front:
            self.front.stop()
        self.server.stop()

    def behind_nginx(self) -> "Deployment":
        """The same with one more nginx in front of it."""
        if not self.front:
            self.front = NginxFront(self.scene, self.server).start()
        other = copy.copy(self)
        other.server = self.front
        return other

    def call(self, method: str, path: str, **more):
        headers = {"Authorization": f"Bearer {KEY}",
                   **(more.pop("headers", None) or {})}
        return super().call(method, path, headers=headers, **more)

    def by_http2(self) -> "Deployment":
        other = copy.copy(self)
        other.server = copy.copy(self.server)
        other.server.port = self.server.http2_port
        return other

    def curl_command(self, path: str, *options: str) -> list:
        return ["curl", "-sS", "-H", f"Authorization: Bearer {KEY}", *options,
                self.url(path)]

    def curl(self, path: str, *options: str, **more):
        return super().curl(path, "-H", f"Authorization: Bearer {KEY}",
                            *options, **more)

    def raised(self) -> list:
        """The time-outs that the shipped files raise."""
        found = []
        for path in self.server.shipped:
            text = (DEPLOY / path).read_text()
            found += re.findall(
                r"^\s*([\w.-]*time-?out\w*|[\w.-]*max-write-idle)\b(?!\()",
                text, re.I | re.M)
        return list(dict.fromkeys(found))
