"""From batches of records to durable fresh segments."""
