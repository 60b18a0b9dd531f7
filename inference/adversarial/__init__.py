"""How easily a caption is changed by a change of the picture that people would not notice."""
