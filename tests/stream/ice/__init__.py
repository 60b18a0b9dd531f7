"""Tests of stream.ice."""
