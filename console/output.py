"""Ways of printing that verbs share: JSON for programs, tables for people, logs for workers."""

from __future__ import annotations

import logging
import sys
from typing import Any

import msgspec
from rich.console import Console

__all__ = ["console", "print_json", "set_up_logging"]

console = Console(highlight=False)
"""Where people read. Markup in what comes from events and catalogues must be escaped."""


def print_json(value: Any) -> None:
    """Print ``value`` as indented JSON on stdout, and nothing else."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def set_up_logging(verbose: bool = False) -> None:
    """Log to stderr, one line a record."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
    for name in (
        "faust",
        "mode",
        "aiokafka",
        "kafka",
        "httpx",
        "httpx2",
        "openai",
        "sentence_transformers",
        "transformers",
    ):
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.WARNING)
