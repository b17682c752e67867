"""Results as Arrow tables. pyarrow takes a moment to load, so it is imported only when a table is asked for."""
