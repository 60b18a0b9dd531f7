"""Independent reckonings that the captioner is held against."""
