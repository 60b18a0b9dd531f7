"""Explanations against oracles, and what they say of themselves."""
