"""Tests of `models.datasets`."""
