"""Replay: what happened is recorded once, and a change is tried on it as often as one likes.

::

    recorder ── capture ── order ── in_place ── run ── comparing ── report
                   │                    │
    manifest   what a capture says of itself    rules_kept   rules, and where they changed
    cassette   every call of a model, by its contents
      recorded_runtime, recorded_encoder        what puts one before a model
    wire/      the same replay through a broker, real workers and Redis

`nearline record`, `nearline replay`, `nearline replay diff` and `nearline cassette` are this package on the command line.
"""
