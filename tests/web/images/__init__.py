"""Tests of `web.images`."""
