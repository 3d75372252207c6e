"""``nearline down``: ends the embedded stack."""

from __future__ import annotations


def down() -> None:
    """Stop the broker and the Valkey that `nearline up` started in this folder."""
    from console.output import console  # noqa: PLC0415
    from console.settings import load_settings  # noqa: PLC0415
    from stream.embedded import stop  # noqa: PLC0415

    console.print(stop(load_settings().run).message, markup=False)
