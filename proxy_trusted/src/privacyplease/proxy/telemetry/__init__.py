"""What the proxy tells of its work: logs, metrics, calls."""
