"""Use cases. Imports nothing: what serves the public must not load what signs."""
