"""Tests of `inference.faithfulness`."""
