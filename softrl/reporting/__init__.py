"""What a person sees of a run: its progress, its learning curve, its robot at work."""
