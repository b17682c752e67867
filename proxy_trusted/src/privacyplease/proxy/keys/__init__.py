"""Keys: how each is derived, who holds the master key, the keyring, rotation, dead letters, and the proxy's home."""
