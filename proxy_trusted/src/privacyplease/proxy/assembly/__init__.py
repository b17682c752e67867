"""The process put together, once."""
