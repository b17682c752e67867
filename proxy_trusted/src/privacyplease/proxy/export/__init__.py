"""Exported keyrings, with which partners can count people: making them, and answering from them."""
