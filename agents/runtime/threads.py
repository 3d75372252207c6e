"""How many threads a model in this process is given, and how they wait."""

from __future__ import annotations

import logging
import os
import sys

__all__ = ["wise_threads"]

_log = logging.getLogger(__name__)


def wise_threads(wanted: int) -> int:
    """How many threads are wise, and let them sleep while they wait for one another.

    OpenMP's threads spin by default. Where something else needs the same cores, as on one machine
    with a broker, each waits spinning for the other to be scheduled: measured on two busy cores, an
    answer took 8 s with two spinning threads, 1.5 s with two sleeping ones and 1.1 s with one. The
    policy is read when OpenMP is loaded, so it can only be set before torch is imported.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sleeping = os.environ.get("OMP_WAIT_POLICY", "").upper() == "PASSIVE"
    if wanted > 1 and not sleeping:
        _log.warning(
            "torch was loaded without OMP_WAIT_POLICY=PASSIVE: the model gets one thread, not %d", wanted
        )
        return 1
    return wanted
