"""All that is known of one picture's caption, as a folder of pictures and a JSON file."""
