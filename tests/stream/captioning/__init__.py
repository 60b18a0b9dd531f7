"""Tests of `stream.captioning`."""
