"""Putting a finished folder in another's place, whole.

On Linux the two change places in one step (``renameat2`` with RENAME_EXCHANGE), so a reader finds the old folder or
the new and never none. Elsewhere, and on file systems without it, it takes two renames; if the second
fails, the old folder is put back.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["swap_folder"]

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})


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
