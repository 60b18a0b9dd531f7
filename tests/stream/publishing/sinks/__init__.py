"""Tests of `stream.publishing.sinks`."""
