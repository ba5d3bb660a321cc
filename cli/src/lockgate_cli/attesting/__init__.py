"""Proofs of origin: files read and matched with artifacts, made by Sigstore, added to releases.

What is read here from a file is what it says of itself: enough to know which artifact it speaks
about, so that a wrong file is refused before anything is signed or sent. What it proves is judged
by `lockgate_release.provenance`, on the server and on every client that a policy asks for it.
"""
