"""Benchmark of the captioner: encoder, beam search, and slower implementations as baselines."""
