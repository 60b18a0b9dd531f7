"""Tests of models.datasets."""
