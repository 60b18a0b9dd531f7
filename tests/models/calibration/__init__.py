"""Tests of models.calibration."""
