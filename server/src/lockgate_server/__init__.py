"""The server: public files and reports, the maintainers' API, the rollout controller."""

__version__ = "0.1.0"
