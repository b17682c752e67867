"""Logs, metrics and the record of recent activity."""
