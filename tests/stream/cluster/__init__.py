"""Tests of `stream.cluster`."""
