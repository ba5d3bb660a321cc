"""The `lockgate` command: what release CI and maintainers type."""

from lockgate_release.deferring import defer_import

__version__ = "0.1.0"

# Before anything of the command is imported: it is there with the extra for Amazon's key service.
defer_import("boto3")
