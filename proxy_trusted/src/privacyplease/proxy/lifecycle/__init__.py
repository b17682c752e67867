"""The lifecycle of segments and keys: recovering flushes, verifying, renewing, restoring, retaining, erasing."""
