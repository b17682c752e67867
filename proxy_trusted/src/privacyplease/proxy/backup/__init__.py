"""Backups: the proxy's home in a file, and what the storage server must keep for them."""
