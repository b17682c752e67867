"""Load on a running installation, and where it stops keeping up."""
