"""Pages that browser tests open: scripted captions, feeds and analysis findings."""
