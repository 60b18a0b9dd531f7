"""Endurance test: an hour with feeds and changing viewers, and then injected faults."""
