"""The connection to the proxy: channels, and gRPC's errors as ours. Only this room and `ingest` import gRPC."""
