"""Everything computed from an image, and the engine that runs it in a worker process."""
