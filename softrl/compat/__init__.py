"""Other libraries' interfaces: change one import."""
