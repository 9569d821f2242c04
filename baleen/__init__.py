"""Baleen: the whole DeepSeek-V3.2 system in one readable package. Import the room you need; this file is empty
so that `import baleen` costs nothing and loads no torch."""

__version__ = "0.1.0"
