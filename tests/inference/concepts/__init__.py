"""Tests of `inference.concepts`."""
