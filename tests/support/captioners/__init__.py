"""Captioners for tests, behind the interface `inference.captioning.model.CaptionModel`."""
