"""Tests of models.language."""
