"""Tests of inference.pool."""
