"""Compaction: many small segments become few large ones, each compact in time, and no answer changes."""
