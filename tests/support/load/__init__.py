"""Clients that send video at a steady rate and measure what the server returns."""
