"""Tests of `inference.report`."""
