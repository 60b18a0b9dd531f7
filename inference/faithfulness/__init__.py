"""Measure how faithful explanations are to the captioner: `python -m inference.faithfulness`.

Nothing is exported here: most modules load TensorFlow.
"""
