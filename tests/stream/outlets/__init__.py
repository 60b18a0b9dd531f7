"""Tests of what captions are sent to."""
