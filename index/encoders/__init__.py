"""Texts to vectors: the protocol, the in-process and the server's encoder, a shop's memory, and what tells encoders apart."""
