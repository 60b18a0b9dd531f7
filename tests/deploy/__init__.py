"""Tests of the files with which Sightline is deployed."""
