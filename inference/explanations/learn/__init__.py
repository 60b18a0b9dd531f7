"""Learn to predict a word's map from one encoding: `python -m inference.explanations.learn`.

Nothing is exported here: the modules load TensorFlow.
"""
