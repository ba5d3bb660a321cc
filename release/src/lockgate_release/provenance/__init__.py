"""Where an artifact comes from: Sigstore bundles, verified and held against a rule.

`facts` says what a verified bundle proves, `counting` holds proofs against a rule; both are pure.
`statements` reads in-toto statements. `bundles` verifies with sigstore, and nothing of this room
imports sigstore before a bundle is verified: a client without it can read every rule.
"""
