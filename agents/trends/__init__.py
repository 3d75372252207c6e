"""Trends: what the world asks for now, from documents to queries offered to the shoppers they suit.

    document    what is read, from a record, a file or a folder
    points      the phrases that a text makes most of, each standing in it
    topics      which of the shop's categories a text speaks of
    trend       phrases that say the same made one; sources, age, and whom to offer them

Pure but for reading files: the encoder, the time and the categories are handed in.
"""

from __future__ import annotations

from agents.trends.document import Document, Refused, document_of, read_documents
from agents.trends.points import grounded, points, points_by_model
from agents.trends.topics import Encoder, Topics
from agents.trends.trend import Mined, Trend, mine, offer

__all__ = [
    "Document", "Encoder", "Mined", "Refused", "Topics", "Trend", "document_of", "grounded", "mine", "offer", "points",
    "points_by_model", "read_documents",
]  # fmt: skip
