"""What is computed from a frame, and the engine that schedules it."""
