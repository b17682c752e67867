"""The commands of `privacyplease ingest`, one file each, and `privacyplease simulate`.

Parsers, Arrow and Kafka's client are imported when a command runs, so that `--help` is quick.
"""
