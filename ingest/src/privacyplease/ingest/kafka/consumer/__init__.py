"""Consumes records from a Kafka topic and uploads them to the proxy, without losing any.

- A message's offset is committed only after its record is durable, or after the message is stored, sealed, in the dead
  letter topic. What was not committed is read again, and a record that is stored twice changes no answer.
- A batch of messages is parsed into one Arrow table. While one batch is parsed, others are sealed and stored; only a
  few are in flight at a time, so a slow proxy slows the consumer down and memory stays bounded.
- While Kafka or the proxy is unavailable the consumer keeps retrying. The log says when a service becomes unavailable
  and when it is back, and never holds a value of a record.
"""

from privacyplease.ingest.kafka.consumer.run import ConsumerOptions, ConsumerRun

__all__ = ["ConsumerOptions", "ConsumerRun"]
