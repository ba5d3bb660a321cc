"""The maintainers' API: one module a noun, one table of routes."""
