"""Records to and from Kafka: producers, the consumer that uploads to the proxy, and dead letters."""
