"""Benchmark of an adversarial analysis while captions are live."""
