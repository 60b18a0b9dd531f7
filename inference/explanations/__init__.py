"""Where the captioner looked for a word, and what would have changed its mind."""
