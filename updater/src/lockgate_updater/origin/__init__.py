"""Who built what is offered here, and what runs: proven, remembered, told.

Nothing outside of this room knows of proofs, and it is imported only where a channel demands one or
a person asks. It reaches sigstore through `lockgate_release.provenance` alone.
"""
