"""Tests of `inference.captioners.blip`."""
