"""Tests of web.operation."""
