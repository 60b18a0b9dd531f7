"""Tests of `models.captioner`."""
