"""Ties a child to its supervisor's life, then becomes the child.

Run as ``python -I -S leash.py SUPERVISOR_PID COMMAND ARG...``. It asks Linux to send SIGKILL to this
process when the thread that forked it ends, which happens even when the supervisor is killed with
SIGKILL, and replaces itself with the command; the request outlives ``execve`` (prctl(2),
PR_SET_PDEATHSIG). It is a program of its own because code between fork and exec in a process with
threads (``preexec_fn``) may deadlock.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(argv: list[str]) -> None:
    """Take the leash and run ``argv[1:]`` in this process; ``argv[0]`` is the supervisor's pid."""
    supervisor, command = int(argv[0]), argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        sys.exit(f"cannot tie {command[0]} to its supervisor: {os.strerror(ctypes.get_errno())}")
    # The supervisor may have died between the fork and the request; then no signal will ever come.
    if os.getppid() != supervisor:
        sys.exit("the supervisor ended before its child began")
    try:
        os.execvp(command[0], command)  # noqa: S606  # no shell is wanted: the command is an argument list
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
