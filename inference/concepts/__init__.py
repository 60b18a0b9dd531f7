"""In what concepts the captioner thinks: directions in the grid that a word leans on."""
