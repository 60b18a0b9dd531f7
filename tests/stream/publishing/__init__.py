"""Tests of stream.publishing."""
