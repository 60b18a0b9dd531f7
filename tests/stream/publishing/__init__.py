"""Tests of `stream.publishing`."""
