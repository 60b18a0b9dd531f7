"""A PostgreSQL server of the tests' own, in a temporary folder, as an ordinary user."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

_FOLDER = "/usr/lib/postgresql"
"""Where Debian's packages install the programs of each version."""

_ADMIN, _OWNER = "admin", "sightline"
"""The superuser of the server, and the ordinary role that owns the databases of tests."""

_START_S = 60.0
_SETTINGS = {
    # A killed server loses nothing by this: what it wrote is in the kernel's cache.
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "autovacuum_naptime": "5s",
    "logging_collector": "off",
}

# Ends the server when standard input does, which is when the process that started it dies; then the
# data goes, too.
_GUARD = """
folder=$1; shift
"$@" </dev/null & server=$!
trap '' INT TERM HUP
if read -r keep; then wait $server; exit; fi
kill -QUIT $server 2>/dev/null
wait $server
rm -rf "$folder"
"""


class PostgresServer:
    """A server that tests start, kill and start again; use it from one thread at a time.

    It ends with the process that started it, even if that one is killed.
    """

    def __init__(self, listen: str = "", settings: Mapping[str, str] | None = None) -> None:
        """Create the server's data, and start it; call `stop` in the end.

        Args:
            listen: Addresses on which to listen for TCP, separated by commas, beside the socket.
            settings: Settings of the server that override those for tests.
        """
        self._programs = _programs_folder()
        self._folder = Path(tempfile.mkdtemp(prefix="sightline-postgres-"))
        self._data, self._password = self._folder / "data", secrets.token_urlsafe(12)
        self._names = (f"test_{number}" for number in count())
        self._settings = {**_SETTINGS, **(settings or {})}
        self._guard: subprocess.Popen[bytes] | None = None
        self.listen, self.port = listen, _free_port() if listen else 5432
        try:
            self._create()
        except BaseException:
            shutil.rmtree(self._folder)
            raise

    @property
    def log(self) -> str:
        """What the server has logged."""
        return (self._folder / "log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Process id of the running server's main process."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def url(self, database: str, user: str = _OWNER, host: str | None = None) -> str:
        """Return the URL of a database: by the socket, or by TCP if a host is given."""
        at, query = (f"{host}:{self.port}", "") if host else ("", self._socket_query)
        return f"postgresql://{user}:{self._password}@{at}/{database}{query}"

    @property
    def admin_url(self) -> str:
        """URL of the database `postgres` for the superuser."""
        return self.url("postgres", _ADMIN)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = {**self._settings, "unix_socket_directories": str(self._folder)}
        options |= {"listen_addresses": self.listen, "port": str(self.port)}
        flags = [f"--{name}={value}" for name, value in options.items()]
        command = self._as_user("postgres", "-D", str(self._data), *flags)
        with (self._folder / "log").open("ab") as log:
            self._guard = subprocess.Popen(
                ["sh", "-c", _GUARD, "guard", str(self._folder), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_S
        while True:
            try:
                psycopg.connect(self.admin_url, connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL does not start:\n{self.log}") from None
                time.sleep(0.02)

    def kill(self) -> None:
        """Kill all processes of the server at once, as a crash would; `start` starts it again."""
        main = psutil.Process(self.pid)
        # While it is stopped, it starts no further processes.
        main.suspend()
        processes = (*main.children(recursive=True), main)
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._end_guard()
        # A server does not start while a process of the last one has its memory still.
        deadline = time.monotonic() + _START_S
        while any(map(_is_alive, processes)) and time.monotonic() < deadline:
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop the server, and remove its data; safe to call more than once."""
        if not self._folder.exists():
            return
        if self._guard is None and (self._data / "postmaster.pid").exists():
            # A killed server leaves a segment of shared memory, which the next one removes.
            self.start()
        if self._guard is not None:
            os.kill(self.pid, signal.SIGINT)
            self._end_guard()
        shutil.rmtree(self._folder)

    def create_database(self, template: str = "template0") -> str:
        """Create a database, owned by an ordinary role; return its name."""
        name = next(self._names)
        statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}")
        self._execute(statement.format(*map(sql.Identifier, (name, _OWNER, template))))
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, and end the connections to it."""
        self._execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )

    def _create(self) -> None:
        password_file = self._folder / "password"
        password_file.write_text(self._password)
        if user := _ordinary_user():
            for path in (self._folder, password_file):
                os.chown(path, user.pw_uid, user.pw_gid)
        options = ["--auth=scram-sha-256", f"--username={_ADMIN}", f"--pwfile={password_file}"]
        options += ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        command = self._as_user("initdb", "-D", str(self._data), *options)
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        if done.returncode:
            raise RuntimeError(f"initdb failed:\n{done.stderr}")
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet scram-sha-256\n")
        self.start()
        try:
            self._execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(_OWNER), sql.Literal(self._password)
                )
            )
        except BaseException:
            self._end_guard()
            raise

    @property
    def _socket_query(self) -> str:
        return f"?host={quote(str(self._folder), safe='')}&port={self.port}"

    def _as_user(self, program: str, *arguments: str) -> list[str]:
        """Return a command that runs as an ordinary user: PostgreSQL refuses to run as root."""
        command = [str(self._programs / program), *arguments]
        if user := _ordinary_user():
            ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
            return ["setpriv", *ids, *command]
        return command

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(statement)

    def _end_guard(self) -> None:
        assert self._guard and self._guard.stdin
        with self._guard.stdin as keep:
            keep.write(b"keep\n")
        self._guard.wait()
        self._guard = None


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _programs_folder() -> Path:
    folders = [path for path in Path(_FOLDER).glob("*/bin") if (path / "initdb").exists()]
    if not folders:
        raise RuntimeError(f"no PostgreSQL in {_FOLDER}: apt-get install postgresql")
    return max(folders, key=lambda folder: int(folder.parent.name))


def _ordinary_user() -> pwd.struct_passwd | None:
    """Return the user as whom the server runs; None if the tests do not run as root."""
    if os.geteuid():
        return None
    known = {user.pw_name: user for user in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
