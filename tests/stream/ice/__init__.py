"""Tests of `stream.ice`."""
