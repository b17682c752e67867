"""Load tests: how many users a running installation can serve before latency degrades."""
