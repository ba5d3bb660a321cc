"""The server: public files and reports, the maintainers' API, the rollout controller."""

from lockgate_release.deferring import defer_import

__version__ = "0.1.0"

# Before anything of the server is imported: see there for what it saves each of its processes.
defer_import("boto3")
