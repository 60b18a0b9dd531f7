"""Tests of `stream.video`."""
