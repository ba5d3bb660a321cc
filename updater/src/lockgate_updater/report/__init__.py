"""What this client tells the server of how releases fare, where its owner has said so."""
