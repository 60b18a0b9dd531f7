"""Tests of `inference.captioners`."""
