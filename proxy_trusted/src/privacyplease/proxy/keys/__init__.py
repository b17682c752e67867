"""Keys: how each is derived, who holds the master key, the keyring, rotation, and the home they lie in."""
