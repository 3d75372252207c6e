"""Benchmarks: scripts that print a table, with the machine it ran on."""
