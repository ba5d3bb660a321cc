"""The adapters behind the ports: a directory, S3 and R2, SQLite."""
