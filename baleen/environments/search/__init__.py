"""Search tasks: a corpus behind search, open and find, and an exact check of the answer."""
