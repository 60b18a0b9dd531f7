"""Benchmark of BLIP at its full size with random weights, beside `transformers`."""
