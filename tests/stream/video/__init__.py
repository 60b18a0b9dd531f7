"""Tests of stream.video."""
