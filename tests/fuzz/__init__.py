"""Fuzz tests of all untrusted input: SDP offers, data-channel messages and HTTP requests."""
