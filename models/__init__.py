"""Encoders, decoders, data sets and training of the captioner."""
