"""Tests of stream.webrtc."""
