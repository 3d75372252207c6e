"""The contracts as files: JSON Schemas of all messages, and an AsyncAPI document of all topics.

::

    schemas     each message as a JSON Schema, made from the type that reads or writes it
    asyncapi    the topics, who sends to them, and which messages they hold
    files       docs/contracts/ as text; ``python -m stream.contracts FOLDER`` writes it
"""

from stream.contracts.asyncapi import asyncapi_document
from stream.contracts.files import contract_files, write_contracts
from stream.contracts.schemas import SCHEMAS, schema_of

__all__ = ["SCHEMAS", "asyncapi_document", "contract_files", "schema_of", "write_contracts"]
