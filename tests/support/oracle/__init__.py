"""Independent implementations of the captioner, and stored outputs, to compare the product with."""
