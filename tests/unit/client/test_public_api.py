import ast
import inspect
import pkgutil
from pathlib import Path

import privacyplease.client as sdk

FROZEN = {
    "Access",
    "Ack",
    "Activity",
    "Answers",
    "AsyncClient",
    "AsyncRecords",
    "Approval",
    "ApprovalState",
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
    "Disk",
    "Dwell",
    "DatasetKeys",
    "Destroyed",
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
}
PUBLIC_MODULES = {
    "aio",
    "approvals",
    "audit",
    "blocking",
    "explanation",
    "catalogue",
    "compaction",
    "errors",
    "ingestion",
    "keys",
    "occupancy",
    "presence",
    "records",
    "stations",
    "verification",
}


def test_the_public_names_are_frozen() -> None:
    assert set(sdk.__all__) == FROZEN
    assert all(hasattr(sdk, name) for name in FROZEN)


def test_the_folder_listing_is_the_public_api() -> None:
    modules = {module.name for module in pkgutil.iter_modules(sdk.__path__)}
    assert modules - {"_internal"} == PUBLIC_MODULES


def test_both_clients_have_the_same_methods() -> None:
    assert _signatures(sdk.AsyncClient) == _signatures(sdk.Client)


def _signatures(client: type) -> dict[str, list[str]]:
    methods = inspect.getmembers(client, inspect.isfunction)
    return {name: list(inspect.signature(f).parameters) for name, f in methods if not name.startswith("_")}


FORBIDDEN = ("privacyplease.proxy", "privacyplease.server", "privacyplease.storage", "cryptography")


def test_the_clients_zone_imports_neither_server_nor_keys() -> None:
    package = Path(sdk.__file__).parents[1]
    for file in [*package.glob("client/**/*.py"), *package.glob("cli/**/*.py")]:
        for name in _imports(file):
            contract = name.startswith("privacyplease.proxy.v1")
            assert contract or not name.startswith(FORBIDDEN), f"{file.name} imports {name}"


def _imports(file: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names
