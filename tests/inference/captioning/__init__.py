"""Tests of inference.captioning."""
