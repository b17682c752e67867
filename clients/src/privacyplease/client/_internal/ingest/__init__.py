"""How records and dead letters are sent: cut into messages, and sent again when a stream breaks."""
