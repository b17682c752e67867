# Generated from _internal/aio/__init__.py by scripts/blocking_client.py; do not edit.
"""The methods of `Client`, a file per subject, and the connection that they use."""
