"""The methods of `AsyncClient`, a file per subject, and the connection that they use."""
