"""Uploads: a file's parts on their way to the store, several at a time, and back after a failure.

`session` is the door; `sending` is one upload from beginning to end; `parts` is how one part gets
there; `files`, `journal`, `crew` and `verdicts` are what they stand on.
"""
