"""Backups of a server: made while it runs, proven by restoring them, and put back.

`manifest` what a backup is · `places` where backups lie · `making` · `reading` · `verifying` ·
`restoring` · `schedule` the worker's own.
"""
