"""What the programs say of what they do: one registry of events, and the lines made of them.

`registry` lists every event of server, CLI and updater; `docs/reference/log-schema.md` is made of
it. `telling` is how code tells an event, `lines` makes a line of it, `masking` takes out what is
secret, and `bounds` keeps a flood of them from filling a disk.

The updater's events keep a format of their own (`docs/reference/events.md`); the registry describes
them, and no module here is imported by a check.
"""

__all__: list[str] = []
