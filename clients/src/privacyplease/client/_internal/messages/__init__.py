"""The contract's messages, from arguments and to results: pure functions, shared by both clients."""
