"""Tests of models.captioner."""
