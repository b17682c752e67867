"""The trusted store: SQL that outlives the process."""
