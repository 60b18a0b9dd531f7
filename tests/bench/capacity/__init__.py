"""Benchmark of the number of sessions that one machine sustains."""
