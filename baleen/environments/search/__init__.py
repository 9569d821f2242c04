"""Search tasks: a corpus behind the tools search, open and find, and an exact check of the answer."""
