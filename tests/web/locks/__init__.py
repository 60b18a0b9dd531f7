"""Tests of web.locks."""
