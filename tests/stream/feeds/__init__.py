"""Tests of `stream.feeds`."""
