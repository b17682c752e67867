"""Assembles the process: settings, components and the gRPC server."""
