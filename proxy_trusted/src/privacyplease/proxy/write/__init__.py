"""Writing: from batches of records to durable fresh segments."""
