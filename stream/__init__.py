"""A camera feed's way in and out: sources, sampling, overlay, peers, data channel."""
