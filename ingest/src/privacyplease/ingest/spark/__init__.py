"""A data source for Apache Spark: `df.writeStream.format("privacyplease")`, and the same for batches.

Needs the extra `spark` on the driver and on every executor. Rows reach an executor's Python worker as Arrow batches. It
parses them and sends them over the ingest stream, and its task ends once every record is acknowledged as durable. See
`docs/SPARK.md`.
"""
