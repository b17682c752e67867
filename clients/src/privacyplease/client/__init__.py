"""Ask who was where and how many people there were, of data stored encrypted on an untrusted machine.

    from datetime import UTC, datetime, timedelta
    from privacyplease.client import Client

    with Client("127.0.0.1:50050", certificates="certificates/clients/alice") as client:
        day = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)
        seen = client.presence("e6:f1:d2:28:b9:33", *day, purpose="lost property")
        for session in seen.sessions:
            print(session.place, session.start, session.end)
        print(client.count(*day, place="ap-29"), "people")
        frame = client.occupancy(*day, timedelta(minutes=15)).to_pandas()

Intervals are closed, and times have a time zone:

    >>> from datetime import datetime
    >>> from privacyplease.client import Client
    >>> with Client("127.0.0.1:50050", insecure=True) as client:
    ...     client.count(datetime(2024, 10, 1), datetime(2024, 10, 2))
    Traceback (most recent call last):
    ValueError: expected a datetime with a time zone, got 2024-10-01T00:00:00 without; add one, e.g. tzinfo=datetime.UTC

`AsyncClient` has the same methods for asyncio. The tree of errors is in `privacyplease.client.errors`.
"""

from privacyplease.client.aio import AsyncClient
from privacyplease.client.approvals import Approval, ApprovalState
from privacyplease.client.audit import AuditEntry, AuditVerdict
from privacyplease.client.blocking import Client
from privacyplease.client.catalogue import (
    Access,
    Activity,
    Answers,
    Cache,
    Column,
    Compaction,
    Dataset,
    Disk,
    Erasure,
    Ingestion,
    Keyring,
    Manifest,
    Policy,
    RecentCalls,
    Status,
    Storage,
)
from privacyplease.client.compaction import Compacted
from privacyplease.client.errors import PrivacyPleaseError
from privacyplease.client.explanation import ExplainedCell, Explanation
from privacyplease.client.ingestion import Ack, IngestSummary, Rejection
from privacyplease.client.keys import DatasetKeys, Destroyed, Epoch, EpochState, ExportedKeyring, Keys, Renewed
from privacyplease.client.occupancy import (
    Count,
    Dwell,
    Occupancy,
    Peak,
    Place,
    PlaceCount,
    PlaceCounts,
    Places,
    Series,
    Step,
)
from privacyplease.client.presence import Presence, Session, Sessions
from privacyplease.client.records import AsyncRecords, Records
from privacyplease.client.stations import (
    Availability,
    AvailabilityStep,
    Spread,
    StationState,
    StationStates,
    Statistics,
)
from privacyplease.client.verification import Finding, Verification, VerificationProgress

__all__ = [
    "Access",
    "Ack",
    "Activity",
    "Answers",
    "Approval",
    "ApprovalState",
    "AsyncClient",
    "AsyncRecords",
    "AuditEntry",
    "AuditVerdict",
    "Availability",
    "AvailabilityStep",
    "Cache",
    "Client",
    "Column",
    "Compacted",
    "Compaction",
    "Count",
    "Dataset",
    "DatasetKeys",
    "Destroyed",
    "Disk",
    "Dwell",
    "Epoch",
    "EpochState",
    "Erasure",
    "ExplainedCell",
    "Explanation",
    "ExportedKeyring",
    "Finding",
    "IngestSummary",
    "Ingestion",
    "Keyring",
    "Keys",
    "Manifest",
    "Occupancy",
    "Peak",
    "Place",
    "PlaceCount",
    "PlaceCounts",
    "Places",
    "Policy",
    "Presence",
    "PrivacyPleaseError",
    "RecentCalls",
    "Records",
    "Rejection",
    "Renewed",
    "Series",
    "Session",
    "Sessions",
    "Spread",
    "StationState",
    "StationStates",
    "Statistics",
    "Status",
    "Step",
    "Storage",
    "Verification",
    "VerificationProgress",
]
