"""A replay on the wire: a capture published to topics of its own on a real broker, and real workers that consume it.

::

    on_the_wire ── publisher ── topics        from the start to the run, in the process that was asked
         │            │
         │       [ broker, Redis ]            under a prefix of their own; plan.py says which
         │            │
         │       gate, infer ── serving       the roles of the workers, in event time and in the order of the capture
         │                        │
     collector               as_it_was        triggers and slates put into one order; the catalogue at a trigger's time

A worker of a replay differs from a live one where the live one goes by the clock: rules change at recorded offsets, every
trigger is thought about, and a slate is made at the time of its event.
"""
