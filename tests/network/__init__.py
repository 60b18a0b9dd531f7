"""A server and its client at the two ends of a bad line."""
