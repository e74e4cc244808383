"""Other libraries' front doors: change one import."""
