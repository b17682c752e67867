"""Keyrings for partners: made, and counted with."""
