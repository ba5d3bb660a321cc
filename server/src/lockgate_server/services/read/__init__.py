"""What anybody may ask: files as they are, and whether the server is well. Signs nothing."""
