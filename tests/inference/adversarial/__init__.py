"""Tests of the adversarial analysis."""
