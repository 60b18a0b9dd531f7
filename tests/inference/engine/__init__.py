"""Tests of `inference.engine`."""
