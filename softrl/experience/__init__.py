"""Transitions that others made, as they bring them: other libraries' keys, checks of every number, files."""
