"""How bytes and documents come, verified: transport, download, look."""
