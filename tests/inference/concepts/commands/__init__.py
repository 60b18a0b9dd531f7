"""Tests of `inference.concepts.commands`."""
