"""Tests of `models.catalogue`."""
