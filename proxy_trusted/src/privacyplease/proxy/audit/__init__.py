"""The audit log: who asked what about whom, and why; append-only, with each line bound to the one before it."""
