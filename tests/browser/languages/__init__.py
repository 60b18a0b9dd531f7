"""Browser tests of the page in other languages than English."""
