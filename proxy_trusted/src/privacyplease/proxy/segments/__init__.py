"""Sealed segments: pages of columns, sealing and opening, tags, digests, filters, roll-ups and the cell cache."""
