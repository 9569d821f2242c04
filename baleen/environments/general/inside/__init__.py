"""Programs that run inside the sandbox with the system's Python; they import nothing of Baleen."""
