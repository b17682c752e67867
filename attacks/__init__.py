"""Attacks that ship with the product: what an honest-but-curious storage server can guess from all that it sees."""
