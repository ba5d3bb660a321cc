"""The client: checks, downloads, verifies, installs, and goes back."""

__version__ = "0.1.0"
