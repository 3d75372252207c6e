"""Putting a finished folder in another's place, whole.

On Linux the two change places in one step (``renameat2`` with RENAME_EXCHANGE), so a reader finds the old folder or
the new and never none. Elsewhere, and on file systems without it, it takes two renames; if the second
fails, the old folder is put back.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import glob
import os
import shutil
import uuid
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["swap_folder", "whole_folder"]

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})


@contextlib.contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Fill a folder beside ``out``, which takes its place at the end of the block; what was at ``out`` is deleted.

    When the block fails, ``out`` is as it was and nothing is left beside it. Missing folders above are made, and
    what a killed process left beside ``out`` is cleared away.

    Raises:
        OSError: If it cannot be done.
    """
    out = out.absolute()
    prefix = f".{out.name}.building-"
    out.parent.mkdir(parents=True, exist_ok=True)
    for left in out.parent.glob(f"{glob.escape(prefix)}*"):
        if not _alive(left.name.removeprefix(prefix).partition("-")[0]):
            shutil.rmtree(left)
    space = out.with_name(f"{prefix}{os.getpid()}-{uuid.uuid4().hex[:8]}")
    space.mkdir()
    try:
        yield space
        swap_folder(space, out)
    finally:
        shutil.rmtree(space, ignore_errors=True)


def swap_folder(new: Path, out: Path) -> None:
    """Move the folder ``new`` to ``out`` on the same file system; what was at ``out`` is deleted.

    Memory maps of the old files stay valid until they are closed.

    Raises:
        OSError: If it cannot be done; ``out`` is then as it was.
    """
    if not out.exists():
        new.rename(out)
        return
    if _exchange(new, out):
        shutil.rmtree(new)
        return
    aside = new.with_name(new.name + ".old")
    out.rename(aside)
    try:
        new.rename(out)
    except OSError:
        with contextlib.suppress(OSError):
            aside.rename(out)
        raise
    shutil.rmtree(aside)


def _alive(pid: str) -> bool:
    return pid.isdigit() and psutil.pid_exists(int(pid))


def _exchange(one: Path, other: Path) -> bool:
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(other))
