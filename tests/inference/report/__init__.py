"""Tests of the report on a picture."""
