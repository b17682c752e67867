"""Benchmarks of Privacy Please against the same job in plaintext, interleaved in one run."""
