"""`lockgate-server`: runs the server, and what only its operator may do.

The data goes to stdout, words go to stderr; the exit code says what kind of error it was.
"""

from lockgate_server.command.group import main

__all__ = ["main"]
