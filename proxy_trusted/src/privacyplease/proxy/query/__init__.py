"""From a question to its answer: which segments it touches, what is fetched and opened, and which records match."""
