"""Tests of `stream.data_channel`."""
