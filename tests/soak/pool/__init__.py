"""A captioner pool on two machines, whose network is cut."""
