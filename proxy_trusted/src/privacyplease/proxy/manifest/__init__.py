"""The manifest: which segments there are, which cells the server must have, and a head that exposes rollbacks."""
