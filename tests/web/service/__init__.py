"""Tests of web.service."""
