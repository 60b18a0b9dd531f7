"""Tests of `inference.adversarial`."""
