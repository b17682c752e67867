"""Real services that tests and benchmarks start for themselves and end again."""
