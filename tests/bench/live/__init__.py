"""Benchmark of a live session, compared with an echo server for the same frames."""
