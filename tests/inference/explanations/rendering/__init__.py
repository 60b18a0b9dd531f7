"""Tests of inference.explanations.rendering."""
