"""Who may come in, by which name and how securely, and how much anyone may take."""
