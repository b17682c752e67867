"""The audit log: who asked what about whom, and why; append-only, and every line bound to the one before."""
