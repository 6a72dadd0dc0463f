"""Real servers of PostgreSQL and MariaDB for the tests, from Debian's packages.

Each runs in a temporary folder, as the user that its package made (none runs as root), on a
port of the loopback, and can be killed, stopped, started again and copied. Its clock can be moved
(libfaketime).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import sqlalchemy

from .fake_clock import FileClock, faketime

PACKAGES = "postgresql mariadb-server faketime"
_PASSWORD = "a password with / and @"
_WAIT = 60  # seconds, for a busy machine


def why_not(kind: type[SQLServer]) -> str | None:
    """What is missing for servers of this kind; None where they can be started."""
    if kind.binaries() is None or faketime() is None:
        return f"no {kind.name} with its tools and libfaketime: apt-get install {PACKAGES}"
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


_templates: dict[type[SQLServer], Path] = {}


class SQLServer:
    """One server. `url` is its address.

    Args:
        clock: whether its clock can be moved, by `clock`; without, it runs at its usual speed.
        copy_of: another one, stopped, whose data it begins with.
    """

    name: str
    user: str

    def __init__(self, *, clock: bool = False, copy_of: SQLServer | None = None) -> None:
        # Not below pytest's folder, which only root may enter.
        self.directory = Path(tempfile.mkdtemp(prefix="dcs-sql-"))
        self.data = self.directory / "data"
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.clock = FileClock(self.directory / "clock") if clock else None
        self._own(self.directory)
        self.copy(self._template() if copy_of is None else copy_of.data, self.data)

    @staticmethod
    def copy(data: Path, to: Path) -> None:
        """Copy the data of a server that is stopped."""
        subprocess.run(["cp", "-a", str(data), str(to)], check=True)

    def _template(self) -> Path:
        """The data of an empty server, made once: it takes seconds."""
        if type(self) not in _templates:
            self.make()
            _templates[type(self)] = self.directory / "template"
            self.data.rename(_templates[type(self)])
            atexit.register(shutil.rmtree, self.directory, ignore_errors=True)
        return _templates[type(self)]

    @property
    def url(self) -> str:
        raise NotImplementedError

    @staticmethod
    def binaries() -> Path | None:
        """Where the server's programs are."""
        raise NotImplementedError

    def make(self) -> None:
        """Make the data of an empty server."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.launch()
        deadline = time.monotonic() + _WAIT
        while True:
            try:
                self.execute("SELECT 1")
                return
            except sqlalchemy.exc.SQLAlchemyError:
                assert self.process is not None
                assert self.process.poll() is None, self.log()
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.02)

    def launch(self) -> None:
        """Start its process."""
        raise NotImplementedError

    def execute(self, *statements: str) -> list[tuple[object, ...]]:
        """Carry out statements, each by itself; the rows of the last."""
        engine = sqlalchemy.create_engine(
            self.url, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool
        )
        rows: list[tuple[object, ...]] = []
        with engine.connect() as connection:
            for statement in statements:
                result = connection.exec_driver_sql(statement)
                rows = [tuple(row) for row in result] if result.returns_rows else []
        return rows

    def pause(self) -> None:
        """Stop all its processes, as a machine does that hangs."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill -9 all its processes and wait until they are gone."""
        if self.process is not None:
            self._signal(signal.SIGKILL)
            self.process.wait()
            self.process = None
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """End it as one should, so that its folder can be copied."""
        assert self.process is not None
        self.process.send_signal(self.ends_by)
        self.process.wait(_WAIT)
        self.process = None

    ends_by = signal.SIGTERM

    def remove(self) -> None:
        """Kill it and remove its folder."""
        self.kill()
        if _templates.get(type(self), Path()).parent != self.directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def log(self) -> str:
        return (self.directory / "log").read_text("utf-8", "replace")

    def dump(self) -> bytes:
        """What the vendor's tool makes of the database."""
        raise NotImplementedError

    def restore(self, dump: bytes) -> None:
        """Have the vendor's tool put it back."""
        raise NotImplementedError

    def tool(self, *command: str, given: bytes | None = None) -> bytes:
        """Run a program of the server's, as its user."""
        done = subprocess.run(
            [str(part) for part in command],
            input=given,
            capture_output=True,
            env={**os.environ, "PGPASSWORD": _PASSWORD},
            cwd=self.directory,
            **self._as_user(),
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    def _launch(self, *command: str) -> None:
        environment = {**os.environ, **(self.clock.environment() if self.clock else {})}
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=environment,
                cwd=self.directory,
                start_new_session=True,
                **self._as_user(),
            )

    def _signal(self, number: int) -> None:
        """To all its processes; those of PostgreSQL are in groups of their own."""
        assert self.process is not None
        for pid in [self.process.pid, *_children(self.process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            owner = pwd.getpwnam(self.user)
            os.chown(path, owner.pw_uid, owner.pw_gid)

    def _as_user(self) -> dict[str, object]:
        if os.geteuid() != 0:
            return {}
        owner = pwd.getpwnam(self.user)
        return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _children(pid: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
        return [int(child) for child in text.split()]
    return []


class PostgreSQL(SQLServer):
    """A PostgreSQL as its package is set up, but for port and folder."""

    name = "PostgreSQL"
    user = "postgres"
    ends_by = signal.SIGINT  # fast shutdown

    def __init__(self, *options: str, clock: bool = False, copy_of: SQLServer | None = None):
        self.options = options
        super().__init__(clock=clock, copy_of=copy_of)

    @property
    def url(self) -> str:
        password = "a%20password%20with%20%2F%20and%20%40"
        return f"postgresql+psycopg://shop:{password}@127.0.0.1:{self.port}/postgres"

    @staticmethod
    def binaries() -> Path | None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        return found[-1].parent if found else None

    def make(self) -> None:
        password = self.directory / "password"
        password.write_text(_PASSWORD, "utf-8")
        self._own(password)
        self._tool(
            "initdb", "-D", str(self.data), "-U", "shop", "-A", "scram-sha-256", "--no-sync",
            "--pwfile", str(password), "-E", "UTF8", "--locale", "C.UTF-8",
        )  # fmt: skip

    def launch(self) -> None:
        self._launch(
            f"{self.binaries()}/postgres", "-D", str(self.data), "-p", str(self.port),
            "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.directory}",
            *(part for option in self.options for part in ("-c", option)),
        )  # fmt: skip

    def dump(self) -> bytes:
        return self._tool("pg_dump", "-Fc", *self._there())

    def restore(self, dump: bytes) -> None:
        self._tool("pg_restore", "--clean", "--if-exists", *self._there(), given=dump)

    def _there(self) -> tuple[str, ...]:
        return ("-h", "127.0.0.1", "-p", str(self.port), "-U", "shop", "-d", "postgres")

    def _tool(self, name: str, *arguments: str, given: bytes | None = None) -> bytes:
        return self.tool(f"{self.binaries()}/{name}", *arguments, given=given)


class MariaDB(SQLServer):
    """A MariaDB as its package is set up, but for port and folder."""

    name = "MariaDB"
    user = "mysql"

    def __init__(self, *options: str, clock: bool = False, copy_of: SQLServer | None = None):
        self.options = options
        super().__init__(clock=clock, copy_of=copy_of)

    @property
    def url(self) -> str:
        password = "a%20password%20with%20%2F%20and%20%40"
        return f"mariadb+pymysql://shop:{password}@127.0.0.1:{self.port}/shop"

    @staticmethod
    def binaries() -> Path | None:
        for folder in ("/usr/sbin", "/usr/local/sbin", "/usr/bin"):
            if Path(folder, "mariadbd").exists() and shutil.which("mariadb-dump"):
                return Path(folder)
        return None

    def make(self) -> None:
        self.tool("mariadb-install-db", "--no-defaults", f"--datadir={self.data}",
                  "--auth-root-authentication-method=normal", "--skip-test-db")  # fmt: skip

    def launch(self) -> None:
        first = self.directory / "first.sql"
        first.write_text(
            "CREATE DATABASE IF NOT EXISTS shop;\n"
            f"CREATE USER IF NOT EXISTS shop@'127.0.0.1' IDENTIFIED BY '{_PASSWORD}';\n"
            "GRANT ALL ON shop.* TO shop@'127.0.0.1';\n"
            f"CREATE USER IF NOT EXISTS admin@'127.0.0.1' IDENTIFIED BY '{_PASSWORD}';\n"
            "GRANT ALL ON *.* TO admin@'127.0.0.1' WITH GRANT OPTION;\n",
            "utf-8",
        )
        self._own(first)
        self._launch(
            f"{self.binaries()}/mariadbd", "--no-defaults", f"--datadir={self.data}",
            f"--port={self.port}", "--bind-address=127.0.0.1", f"--init-file={first}",
            f"--socket={self.directory}/socket", f"--pid-file={self.directory}/pid",
            "--skip-name-resolve", *(f"--{option}" for option in self.options),
        )  # fmt: skip

    def as_root(self, *statements: str) -> None:
        """Statements that only the server's administrator may say."""
        self.tool("mariadb", *self._there("admin"), given=";\n".join(statements).encode())

    def dump(self) -> bytes:
        return self.tool("mariadb-dump", *self._there(), "shop")

    def restore(self, dump: bytes) -> None:
        self.tool("mariadb", *self._there(), "shop", given=dump)

    def _there(self, user: str = "shop") -> tuple[str, ...]:
        return ("--no-defaults", "-h127.0.0.1", f"-P{self.port}", f"-u{user}", f"-p{_PASSWORD}")


KINDS: dict[str, type[SQLServer]] = {"postgresql": PostgreSQL, "mariadb": MariaDB}
