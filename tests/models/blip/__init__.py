"""Tests of the BLIP captioner."""
