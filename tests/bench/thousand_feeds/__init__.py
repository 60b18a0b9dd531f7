"""What 1,000 feeds cost: a model of it, and measurements of its parts."""
