"""Child processes of ``aistat up``: start, watch, stop cleanly."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from urllib.parse import urlsplit

from aistat.errors import UserError

REPOSITORY = Path(__file__).resolve().parent.parent
START_SECONDS = 120
STOP_SECONDS = 20


def port_from_env(variable: str, default: int) -> int:
    """A port number from the environment."""
    text = os.environ.get(variable) or str(default)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise UserError(f"{variable}={text!r} is not a port; give a number from 1 to 65535")
    return int(text)


@dataclass(frozen=True)
class Service:
    """One child process; ``health_url`` answers once it is ready."""

    name: str
    command: list[str]
    log: Path
    health_url: str | None = None

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        parts = urlsplit(self.health_url or "")
        return f"{parts.scheme}://{parts.netloc}"

    def has_free_port(self) -> bool:
        """Whether no other program uses the port."""
        try:
            self.require_free_port()
        except UserError:
            return False
        return True

    def require_free_port(self) -> None:
        """Say so when another program already uses the port."""
        if self.health_url is None:
            return
        port = urlsplit(self.health_url).port or 0
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise UserError(
                    f"port {port} ({self.name}) is in use; stop the other program or set "
                    f"{'AISTAT_PORT' if self.name == 'app' else 'AISTAT_DAGSTER_PORT'}"
                ) from error


class Supervisor:
    """Runs services in process groups of their own and ends them all on exit, Ctrl-C or SIGTERM."""

    def __init__(self, services: list[Service]) -> None:
        self._services = services
        self._children: list[tuple[Service, subprocess.Popen[bytes]]] = []
        self._stop = False

    def __enter__(self) -> "Supervisor":
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        for service in self._services:
            service.log.parent.mkdir(parents=True, exist_ok=True)
            with service.log.open("ab") as log:
                child = subprocess.Popen(
                    service.command, cwd=REPOSITORY, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
                )
            self._children.append((service, child))
        return self

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop = True

    @property
    def stopping(self) -> bool:
        """Whether a signal asked for the end."""
        return self._stop

    def dead(self) -> Service | None:
        """A service that ended by itself."""
        return next((service for service, child in self._children if child.poll() is not None), None)

    def wait(self) -> int:
        """Wait until asked to stop (0) or a service ends by itself (1)."""
        while not self._stop:
            ended = self.dead()
            if ended is not None:
                print(f"{ended.name} ended; see {ended.log}", file=sys.stderr)
                return 1
            time.sleep(0.3)
        print("\n正在停止 / stopping …", flush=True)
        return 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, child in self._children:
            _signal_group(child, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for _, child in self._children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=max(0.1, deadline - time.monotonic()))
            _signal_group(child, signal.SIGKILL)
            child.wait()


def _signal_group(child: "subprocess.Popen[bytes]", number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def wait_for_http(service: Service, running: Supervisor) -> None:
    """Wait until a service answers; a clear message when it ends or stays silent."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and not running.stopping:
        if running.dead() is service:
            raise UserError(f"{service.name} did not start; see {service.log}")
        try:
            with urllib.request.urlopen(service.health_url or "", timeout=2):  # noqa: S310 - our own loopback address
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    if not running.stopping:
        raise UserError(f"{service.name} did not answer within {START_SECONDS} s; see {service.log}")
