"""Tests of `inference.explanations`."""
