"""Tests of web.settings."""
