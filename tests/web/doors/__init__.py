"""Tests of web.doors."""
