"""A Ray cluster, and a captioner for the replicas of a pool on it."""
