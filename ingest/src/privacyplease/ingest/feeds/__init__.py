"""Polls feeds of bike-share stations: JCDecaux and GBFS. `ingest/DESIGN.md` defines the messages."""

from privacyplease.ingest.feeds.api_key import ApiKey
from privacyplease.ingest.feeds.gbfs import Gbfs
from privacyplease.ingest.feeds.jcdecaux import JCDecaux
from privacyplease.ingest.feeds.json_client import JsonClient
from privacyplease.ingest.feeds.polling import poll
from privacyplease.ingest.feeds.secret_headers import SecretHeaders
from privacyplease.ingest.feeds.station import Snapshot, Station

__all__ = ["ApiKey", "Gbfs", "JCDecaux", "JsonClient", "SecretHeaders", "Snapshot", "Station", "poll"]
