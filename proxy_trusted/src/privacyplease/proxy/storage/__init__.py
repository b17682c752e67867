"""The one place that speaks to the storage server."""
