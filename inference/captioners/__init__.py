"""Captioners: the implementations of `inference.captioning.model.CaptionModel`, and their commands.

Nothing is exported here: the implementations load TensorFlow.
"""
