"""Video streams: where frames come from, how they are captioned, and who receives the results."""
