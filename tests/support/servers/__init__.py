"""Servers for tests: Sightline itself, in this process or in one of its own, cameras and TURN."""
