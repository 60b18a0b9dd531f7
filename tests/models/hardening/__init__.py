"""Tests of `models.hardening`."""
