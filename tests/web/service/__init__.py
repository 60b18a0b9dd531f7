"""Tests of `web.service`."""
