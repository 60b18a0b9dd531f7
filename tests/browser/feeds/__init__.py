"""Browser tests of feeds: the list, the wall, the history, and other players."""
