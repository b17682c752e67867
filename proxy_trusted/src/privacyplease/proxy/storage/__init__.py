"""The only place that talks to the storage server."""
