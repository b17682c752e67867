"""Feeds of bike-share stations: JCDecaux and GBFS, asked at intervals. See `ingest/DESIGN.md` for a station's form."""

from privacyplease.ingest.feeds.apikey import ApiKey
from privacyplease.ingest.feeds.gbfs import Gbfs
from privacyplease.ingest.feeds.jcdecaux import JCDecaux
from privacyplease.ingest.feeds.polling import poll
from privacyplease.ingest.feeds.station import Snapshot, Station
from privacyplease.ingest.feeds.web import Web

__all__ = ["ApiKey", "Gbfs", "JCDecaux", "Snapshot", "Station", "Web", "poll"]
