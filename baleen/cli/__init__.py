"""The commands, one module each; the only room that wires rooms together. `baleen.cli.main` finds them."""
