"""Tests of web.routes."""
