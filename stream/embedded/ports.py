"""Ports on loopback: finding free ones, and saying who holds a taken one."""

from __future__ import annotations

import contextlib
import socket

import psutil

from stream.embedded.errors import PortInUseError

__all__ = ["LOOPBACK", "answers", "free_ports", "holder_of", "require_free"]

# Everything embedded listens here and nowhere else: none of it asks who calls.
LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Return ``count`` different ports that are free on loopback now.

    All are held open until the last is found, so the same one is never handed out twice in a call.
    """
    with contextlib.ExitStack() as held:
        ports = []
        for _ in range(count):
            listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            listener.bind((LOOPBACK, 0))
            ports.append(int(listener.getsockname()[1]))
        return ports


def require_free(port: int, *, purpose: str) -> int:
    """Return ``port`` if it can be listened on.

    Args:
        port: TCP port on loopback, 1 to 65535.
        purpose: what the port is for, named in the error, such as ``broker``.

    Raises:
        PortInUseError: naming the port and, where the system tells, the process that holds it.
    """
    if not 1 <= port <= 65535:
        msg = f"{purpose} port {port} is not a port: expected 1 to 65535."
        raise PortInUseError(msg, way_out="Give another port, or none for a free one.")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        # A port in TIME_WAIT after a restart is free for a new listener.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
            listener.listen(1)
        except OSError as error:
            holder = holder_of(port)
            by = f" by {holder}" if holder else f" ({error.strerror})"
            msg = f"{purpose} port {LOOPBACK}:{port} is already in use{by}."
            raise PortInUseError(
                msg, way_out="End that process, give another port, or give none to take a free one."
            ) from error
    return port


def holder_of(port: int) -> str | None:
    """Name the process that listens on ``port``, as ``name (pid N)``; None where the system does not tell."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return None
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN
        if listens and connection.laddr and connection.laddr.port == port and connection.pid:
            with contextlib.suppress(psutil.Error):
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return None


def answers(port: int, *, timeout_s: float = 1.0) -> bool:
    """Tell whether something accepts connections on ``port`` of loopback."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_s):
            return True
    except OSError:
        return False
