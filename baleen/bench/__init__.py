"""Our engine and others side by side, each in a process of its own; what one decode step costs at a position."""
