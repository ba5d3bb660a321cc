"""From an installed tree to the offered one by its deltas: planned, confined, proven.

Nothing here is needed to install a release. Whatever goes wrong, the whole archive is fetched.
"""
