"""Helpers that the tests of several packages share.

`servers` runs servers for tests, and `load` clients that generate video and measure what is
returned. `oracle` implements the captioner independently, and `page` prepares the pages of browser
tests.
"""
