"""A run as one pytree, and the compiled function from it to the next."""
