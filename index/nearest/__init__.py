"""The vector index: its types, the index itself, and several searched as one."""
