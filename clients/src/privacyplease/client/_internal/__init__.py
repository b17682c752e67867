"""How the SDK works inside. Nothing here is part of its promise.

aio/         the methods of `AsyncClient`, by subject, and the connection they use
blocking/    the methods of `Client`: generated from `aio/` by scripts/blocking_client.py
connection/  channels to the proxy, and gRPC's errors as ours
ingest/      records and dead letters, cut into messages and sent until they are acknowledged
messages/    arguments as requests of the contract, responses as results
tables/      results as Arrow tables
"""
