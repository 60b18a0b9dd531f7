"""Tests of stream.captioning."""
