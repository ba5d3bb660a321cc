"""The `lockgate` command: what release CI and maintainers type."""

__version__ = "0.1.0"
