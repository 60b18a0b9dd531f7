"""Tests of `stream.webrtc.rtp`."""
