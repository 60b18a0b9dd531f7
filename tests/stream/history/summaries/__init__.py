"""Tests of `stream.history.summaries`."""
