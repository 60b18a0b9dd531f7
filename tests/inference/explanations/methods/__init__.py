"""Tests of `inference.explanations.methods`."""
