"""Ingest: what brings plaintext records to the trusted proxy. See `ingest/DESIGN.md`."""
