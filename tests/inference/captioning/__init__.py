"""Tests of `inference.captioning`."""
