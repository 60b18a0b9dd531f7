"""Tests of `inference.explanations.learn`."""
