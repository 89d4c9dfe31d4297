"""A PostgreSQL server of the tests' own: in a temporary folder, on a Unix socket and a free port, as another user."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PASSWORD = "the-quick-brown-password"
_SETTINGS = ("shared_buffers=16MB", "max_connections=60", "log_min_messages=fatal", "listen_addresses=127.0.0.1")


def programs() -> Path | None:
    """The folder of the programs of PostgreSQL; None if they, or psycopg, are not installed."""
    if find_spec("psycopg") is None or find_spec("psycopg_pool") is None:
        return None
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


class Cluster:
    """A server that is started in `with`, and may be killed and started again. Commits wait for the disk."""

    def __init__(self) -> None:
        self._programs = programs()
        self.folder = Path(tempfile.mkdtemp(prefix="caser-pg-"))
        self.folder.chmod(0o755)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        self._as_user: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as the superuser
            name = "postgres" if any(one.pw_name == "postgres" for one in pwd.getpwall()) else "nobody"
            owner = pwd.getpwnam(name)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            self._as_user = {"user": name, "group": owner.pw_gid, "extra_groups": []}

    def __enter__(self) -> Cluster:
        self._call("initdb", "-U", "postgres", "--auth-local=trust", "--auth-host=scram-sha-256", "-E", "UTF8",
                   "--locale=C", "--no-sync", "-D", str(self.folder / "data"))  # fmt: skip
        self.start()
        self.execute(f"ALTER USER postgres PASSWORD '{PASSWORD}'")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        assert self._programs is not None
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        places = ["-D", str(self.folder / "data"), "-k", str(self.folder), "-p", str(self.port)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", *places, *settings], stdout=log, stderr=log, **self._as_user
            )
        end = time.monotonic() + 30
        while True:
            try:
                self.execute("SELECT 1")
                return
            except Exception:
                assert time.monotonic() < end, (self.folder / "log").read_text()
                time.sleep(0.05)

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends it in order, SIGQUIT at once, as a crash does."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)

    def pause(self, is_paused: bool) -> None:
        """Stop or continue all processes of the server: while they are stopped, nothing of it answers."""
        assert self._process is not None
        numbers = [self._process.pid, *(int(pid) for pid in _children(self._process.pid))]
        for pid in numbers:
            os.kill(pid, signal.SIGSTOP if is_paused else signal.SIGCONT)

    def database(self) -> str:
        """Make a database, and return its name."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def url(self, database: str) -> str:
        """The URL of a database through the socket, without a password."""
        return f"postgresql://postgres@/{database}?host={self.folder}&port={self.port}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement in a database, and return its rows."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _call(self, program: str, *words: str) -> None:
        assert self._programs is not None
        subprocess.run([self._programs / program, *words], check=True, capture_output=True, cwd="/", **self._as_user)


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
