"""Tests of media processes."""
