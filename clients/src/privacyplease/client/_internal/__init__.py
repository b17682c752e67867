"""How the SDK works inside. Nothing here is part of its promise."""
