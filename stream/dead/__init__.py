"""Dead records: what could not be used, where it came from and why.

::

    record.py      what stands on ``nearline.dead``; the gate and inference write it
    search.py      finds records there by reason, topic, time and shopper
    summary.py     how many for which reason, and the newest
    chosen.py      which of them are to be sent again, and how many these are
    redrive.py     sends originals through the front door again, each once

Only the record is imported with the package: it is what the gate needs.
"""

from __future__ import annotations

from stream.dead.record import MAX_PAYLOAD_BYTES, DeadRecord, Origin, dead_record

__all__ = ["MAX_PAYLOAD_BYTES", "DeadRecord", "Origin", "dead_record"]
