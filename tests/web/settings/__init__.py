"""Tests of `web.settings`."""
