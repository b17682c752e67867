"""The proxy's gRPC services, a module each."""
