"""The error of the data adapters.

StreamError
└── DatasetError   a dataset cannot be opened or read; names the dataset or file, the line and the field
"""

from __future__ import annotations

from stream.errors import StreamError

__all__ = ["DatasetError"]


class DatasetError(StreamError):
    """A dataset is missing, is not what its name says, or has a line that cannot be used."""
