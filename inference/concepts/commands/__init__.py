"""The `discover` and `fit` commands of `python -m inference.concepts`."""
