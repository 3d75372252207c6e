"""The distilled student in this process: a shop's demands as phrases of its catalogue, in tens of milliseconds.

::

    runtime   answers batches of requests, in a thread of its own
    engine    the loaded student, and the phrases it may write
    layers    the model itself, over texts of several lengths at once
    gemma_layers  the same for a Gemma 3
    search    the likeliest phrases of a trie with their probabilities
    trie      the phrases by their tokens
"""

from __future__ import annotations

from agents.runtime.student.runtime import StudentRuntime

__all__ = ["StudentRuntime"]
