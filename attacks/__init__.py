"""Attacks on the product: what an honest-but-curious storage server can guess from everything that it sees."""
