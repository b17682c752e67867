"""The proxy's gRPC services, one module each. The protos say what each rpc promises, costs and bounds."""
