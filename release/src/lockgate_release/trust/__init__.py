"""The only room that imports tuf, securesystemslib and cryptography.

`verify` is what a client needs and all it may import. `chain` reads a repository to write on top
of it, and `sign` writes: those two are for the server and for publishers.
"""
