"""A server that runs for long, with feeds, viewers that come and go, and parts that are killed."""
