"""Proof of delivery: real gate workers are killed, stopped, cut off, and the outcome is judged.

::

    shopping.py ─ what is sent       servers.py ─ Kafka, Valkey       proxy.py ─ connections to cut
         └──────────────┬─────────────────┘                               │
                    driver.py ── nemesis.py ── faults, by a seed ─────────┘
                        │
                    history.py     JSON Lines: sent, faults, and in the end all topics and keys
                        │
                    checker.py ── model.py     reads only the history; shares no code with the gate
    run.py      `make chaos`: many seeds, resumable
    fuzz.py     `make chaos-fuzz`: hostile records through the decoder and the gate
    broken_worker.py    a gate broken on purpose, which the checker must find out
"""
