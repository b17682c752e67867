"""Compaction: many small segments become few large ones that are neighbours in time, and no answer changes."""
