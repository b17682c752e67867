"""Takes records from a topic of Kafka to the proxy, and loses none.

- A message's offset is committed only after its record is durable, or after the message lies sealed in the dead letter
  topic. What was not committed is read again, and a record that is stored twice changes no answer.
- A batch of messages is read as one Arrow table. While one is read others are sealed and stored; a few are under way at
  a time, so a slow proxy slows the consumer down and memory stays bounded.
- What is away is waited for, for ever. The log says when something goes away and when it is back, and holds no value.
"""

from privacyplease.ingest.consumer.consumption import Consumption, Task

__all__ = ["Consumption", "Task"]
