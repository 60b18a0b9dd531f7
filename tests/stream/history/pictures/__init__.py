"""Tests of the pictures of the history."""
