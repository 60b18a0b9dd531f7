"""Tests of models.hardening."""
