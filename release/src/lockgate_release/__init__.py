"""What a release is: documents, gate, decision, versions, trust, digests and archives.

Everything that the server, the updater and the command line must agree on lives here, and
nothing else does. The package opens no socket and imports no web framework; the only modules
that touch a disk say so in their first line.
"""

__version__ = "0.1.0"
