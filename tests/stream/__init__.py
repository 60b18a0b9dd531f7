"""Tests of the video path."""
