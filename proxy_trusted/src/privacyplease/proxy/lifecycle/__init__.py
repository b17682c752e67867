"""What becomes of segments and keys in the long run: settled, verified, renewed, restored, erased."""
