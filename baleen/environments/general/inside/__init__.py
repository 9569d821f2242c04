"""Programs that run inside the sandbox; they import nothing of Baleen."""
