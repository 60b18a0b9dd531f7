"""Tests of models.consensus."""
