"""Are the explanations true? Measured on pictures: `python -m inference.faithfulness`."""
