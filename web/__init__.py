"""The page, its assets and the HTTP routes."""
