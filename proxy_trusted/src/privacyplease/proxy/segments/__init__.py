"""Sealed segments: groups of columns as pages, sealed and opened; tags, digests, size classes; what stays in memory."""
