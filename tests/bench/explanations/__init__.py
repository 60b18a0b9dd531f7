"""Benchmark of the maps that accompany a live caption: word maps and saliency."""
