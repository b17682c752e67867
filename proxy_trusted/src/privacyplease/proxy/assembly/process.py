"""What the components of a proxy share with the rest of the process."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from privacyplease.proxy.access.control import AccessControl
from privacyplease.proxy.access.policy_file import PolicyFile
from privacyplease.proxy.assembly.settings import ProxySettings
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.telemetry.activity import Activity
from privacyplease.proxy.telemetry.metrics import Metrics


@dataclass(frozen=True)
class ProcessContext:
    """What the components share with the rest of the process."""

    settings: ProxySettings
    datasets: dict[str, Dataset]
    policies: PolicyFile
    access: AccessControl
    stopping: threading.Event
    metrics: Metrics
    activity: Activity
