"""How long to wait for what, unless the caller says otherwise."""

# Ten times what the dearest question should take on a building's data.
QUERY_S = 30.0

# An acknowledgement may wait behind three others on a slow store; beyond this the proxy hangs.
STALL_S = 120.0
