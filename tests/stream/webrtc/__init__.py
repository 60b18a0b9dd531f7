"""Tests of `stream.webrtc`."""
