"""Connections that ask for more than an address: TLS, users, sentinels and clusters, on real servers."""
