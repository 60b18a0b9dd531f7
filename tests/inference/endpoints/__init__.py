"""Tests of inference.endpoints."""
