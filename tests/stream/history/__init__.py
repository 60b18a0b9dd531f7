"""Tests of `stream.history`."""
