"""Tests of models.encoders."""
