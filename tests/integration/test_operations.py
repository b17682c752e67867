"""Metrics and logs of both servers after a run that uses every function: what they contain, and what they must not."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
import sqlite3
import urllib.request
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from privacyplease.ingest.kafka.consumer.metrics import ConsumerMetrics
from privacyplease.proxy.assembly.contracts import METHODS
from privacyplease.proxy.keys import master_key as masterkey
from privacyplease.proxy.lifecycle.erasure_log import Cause
from privacyplease.proxy.manifest.rows import SegmentState
from privacyplease.proxy.manifest.view import ManifestView
from privacyplease.proxy.telemetry.metrics import QUESTIONS
from privacyplease.proxy.v1 import (
    admin_service_pb2,
    error_reason_pb2,
    occupancy_service_pb2,
    presence_service_pb2,
    query_service_pb2,
    stations_service_pb2,
)
from privacyplease.server.cells import Cell
from privacyplease.server.errors import StoreUnavailableError
from privacyplease.server.metrics import METHODS as SERVER_METHODS
from privacyplease.server.metrics import OPERATIONS, STORE_ERRORS
from privacyplease.transport import log_format
from tests.services.polling import eventually
from tests.services.proxy import Proxied, interval, proxying
from tests.services.storage import StorageProcess, serving

REPOSITORY = Path(__file__).parents[2]
START, HOUR = 1_727_769_600_000, 3_600_000  # 2024-10-01T08:00:00Z
DAY = interval(START, START + 24 * HOUR)
DEVICE, PLACE, CONTRACT, PURPOSE = "aa:bb:cc:dd:ee:ff", "north door", "trondheim", "a theft"
SESSION = {
    "client_mac": DEVICE,
    "ap_name": PLACE,
    "association_time": "2024-10-01T08:00:00Z",
    "session_duration": "45",
}
STATION = {
    "station": f"{CONTRACT}/17",
    "contract": CONTRACT,
    "state_from": "2024-10-01T08:00:00Z",
    "observed_for": "60",
    "available_bikes": 3,
    "available_bike_stands": 4,
}


class Ran(NamedTuple):
    """The result of a run: both servers' metrics as text, the lines of the log, and the tags in the store."""

    proxy: str
    server: str
    log: list[dict[str, object]]
    tags: list[bytes]
    status: admin_service_pb2.GetStatusResponse


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("operations")
    written = io.StringIO()
    handler = log_format.handler(written, log_format.LogFormat.JSON)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masterkey, "ARGON2", {"iterations": 1, "lanes": 1, "memory_kib": 8})
        logging.getLogger().addHandler(handler)
        try:
            with (
                serving(f"sqlite:///{folder}/cells.db") as storage,
                proxying(folder / "home", storage.address, cache_bytes=0) as proxy,
            ):
                tags = _run(proxy, folder / "cells.db")
                status = proxy.admin.GetStatus(admin_service_pb2.GetStatusRequest())
                assert eventually(lambda: 'method="AdminService/GetStatus"} 1.0' in _text(proxy.metrics.registry), 10)
                texts = _text(proxy.metrics.registry), _text(storage.metrics.registry)
        finally:
            logging.getLogger().removeHandler(handler)
    return Ran(*texts, [json.loads(line) for line in written.getvalue().splitlines()], tags, status)


def _run(proxy: Proxied, store: Path) -> list[bytes]:
    """Every kind of question, a bad record, a bad question, and one whose answer the store withholds."""
    for dataset, records, expected in (
        ("wifi", [SESSION, SESSION | {"client_mac": "nonsense"}], (1, 1)),
        ("wifi", [SESSION | {"ap_name": "south door"}], (1, 0)),
        ("bikes", [STATION], (1, 0)),
    ):
        (answer,) = proxy.ingest(dataset, records)
        assert (answer.accepted, len(answer.rejections)) == expected
    _ask(proxy)
    with pytest.raises(grpc.RpcError):
        list(
            proxy.presence.FindSessions(
                presence_service_pb2.FindSessionsRequest(device="nobody", interval=DAY, purpose="a theft")
            )
        )
    with closing(sqlite3.connect(store)) as connection, connection:
        tags = [tag for (tag,) in connection.execute("SELECT tag FROM cells")]
        connection.execute("DELETE FROM cells")
    with pytest.raises(grpc.RpcError) as withheld:
        _ask(proxy)
    assert withheld.value.code() is grpc.StatusCode.DATA_LOSS
    return tags


def _ask(proxy: Proxied) -> None:
    hour = Duration(seconds=3_600)
    assert _present(proxy, DEVICE) == [PLACE, "south door"]
    proxy.occupancy.Count(occupancy_service_pb2.CountRequest(interval=DAY, place=PLACE))
    list(proxy.occupancy.CountByPlace(occupancy_service_pb2.CountByPlaceRequest(interval=DAY)))
    list(proxy.occupancy.Series(occupancy_service_pb2.SeriesRequest(interval=DAY, step=hour)))
    proxy.occupancy.Peak(occupancy_service_pb2.PeakRequest(interval=DAY, step=hour))
    proxy.occupancy.Dwell(occupancy_service_pb2.DwellRequest(interval=DAY))
    list(proxy.occupancy.ListPlaces(occupancy_service_pb2.ListPlacesRequest(interval=DAY)))
    everybody = query_service_pb2.QueryRequest(dataset="wifi", interval=DAY, purpose=PURPOSE)
    list(proxy.queries.Query(everybody))
    station = stations_service_pb2.ListHistoryRequest(station=f"{CONTRACT}/17", interval=DAY)
    list(proxy.stations.ListHistory(station))
    list(proxy.stations.ListLatest(stations_service_pb2.ListLatestRequest(contract=CONTRACT)))
    availability = stations_service_pb2.AvailabilityRequest(contract=CONTRACT, interval=DAY, step=hour)
    list(proxy.stations.Availability(availability))


def _present(proxy: Proxied, device: str) -> list[str]:
    """Where a device was."""
    asked = presence_service_pb2.FindSessionsRequest(device=device, interval=DAY, purpose=PURPOSE)
    return [place for page in proxy.presence.FindSessions(asked) for place in page.sessions.places]


def _text(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


def _value(text: str, sample: str) -> float:
    """The value of a sample, given as written with ascending labels."""
    (line,) = (line for line in text.splitlines() if line.startswith(f"{sample} "))
    return float(line.rpartition(" ")[2])


def _families(text: str) -> dict[str, set[str]]:
    """The project's own metrics, named as documented, and the labels of each."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        if family.name.startswith("privacyplease_") and not family.name.endswith("_created"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    return found


def _consumer() -> dict[str, set[str]]:
    """The consumer's metrics and the labels of each."""
    counts = dict.fromkeys(("consumed", "stored", "dead_letters", "retries"), 0)
    return _families(_text(ConsumerMetrics(lambda: counts, lambda: {0: 7}).registry))


def _documented() -> dict[str, set[str]]:
    rows = re.findall(r"^\| `(privacyplease_\w+)` \|[^|]*\|([^|]*)\|", _operations(), re.MULTILINE)
    return {name: set(re.findall(r"\w+", labels)) for name, labels in rows}


def _operations() -> str:
    return (REPOSITORY / "docs" / "OPERATIONS.md").read_text()


def test_documented_metrics_are_those_served(ran: Ran) -> None:
    assert _documented() == _families(ran.proxy) | _families(ran.server) | _consumer()


def test_each_metric_says_its_unit(ran: Ran) -> None:
    helps = dict(re.findall(r"^# HELP (privacyplease_\w+) (.*)$", ran.proxy + ran.server, re.MULTILINE))
    units = dict(re.findall(r"^\| `(privacyplease_\w+)` \| (\w+)", _operations(), re.MULTILINE))
    assert len(units) > 20
    assert {name: unit for name, unit in units.items() if name in helps and unit not in helps[name].lower()} == {}


def test_alerts_use_existing_metrics_and_labels(ran: Ran) -> None:
    alerts = (REPOSITORY / "docs" / "alerts.yml").read_text()
    used = re.findall(r"(privacyplease_\w+?)(?:_bucket)?(?:\{(.*?)\}|\b)", re.sub("#.*|- name:.*", "", alerts))
    assert len(used) >= alerts.count("- alert:") > 0
    listener = (REPOSITORY / "ingest/src/privacyplease/ingest/spark/progress.py").read_text()
    spark = {name: {"partition"} for name in re.findall(r'"(privacyplease_spark_lag_\w+)"', listener)}
    there = _families(ran.proxy) | _families(ran.server) | _consumer() | spark
    for name, matchers in used:
        assert set(re.findall(r"(\w+)[!=]~?", matchers)) <= there[name], name


def test_labels_come_from_closed_sets(ran: Ran) -> None:
    allowed = {
        "method": {*METHODS.values(), *SERVER_METHODS.values()},
        "code": {code.name for code in grpc.StatusCode},
        "reason": set(error_reason_pb2.ErrorReason.keys()),
        "outcome": {"accepted", "rejected", "hit", "miss"},
        "state": {state.name.lower() for state in SegmentState},
        "operation": set(OPERATIONS),
        "kind": set(STORE_ERRORS),
        "dataset": {"1", "2"},
        "hop": {"clients", "storage"},
        "cause": {cause.value for cause in Cause},
        "certificate": {"own", "authority"},
        "version": {(REPOSITORY / "VERSION").read_text().strip()},
    }
    for text in (ran.proxy, ran.server):
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = {name: value for name, value in sample.labels.items() if name != "le"}
                assert all(value in allowed[name] for name, value in labels.items()), sample


def test_neither_metrics_nor_logs_contain_records_or_questions(ran: Ran) -> None:
    text = "\n".join([ran.proxy, ran.server, *map(json.dumps, ran.log)]).lower()
    device = DEVICE.replace(":", "")
    needles = [DEVICE, device, str(int(device, 16)), "north", "south", CONTRACT, PURPOSE, "nobody", "wifi", "bikes"]
    assert len(ran.tags) >= 6
    for tag in ran.tags:
        needles += [tag.hex(), base64.b64encode(tag).decode().rstrip("=").lower(), repr(tag)[2:-1].lower()]
    assert [needle for needle in needles if needle in text] == []
    assert "presenceservice/findsessions" in text  # the search does find what is in the text


def test_the_proxys_metrics_count_its_calls_and_records(ran: Ran) -> None:
    method = 'method="PresenceService/FindSessions"'
    assert _value(ran.proxy, f'privacyplease_proxy_calls_total{{code="OK",{method}}}') == 1
    assert _value(ran.proxy, f'privacyplease_proxy_calls_total{{code="INVALID_ARGUMENT",{method}}}') == 1
    assert _value(ran.proxy, f'privacyplease_proxy_calls_total{{code="DATA_LOSS",{method}}}') == 1
    assert _value(ran.proxy, f"privacyplease_proxy_call_seconds_count{{{method}}}") == 3
    assert _value(ran.proxy, f"privacyplease_proxy_question_cells_sum{{{method}}}") == 2
    assert _value(ran.proxy, f"privacyplease_proxy_question_bytes_sum{{{method}}}") > 2 * 256
    assert _value(ran.proxy, "privacyplease_proxy_batches_total") == 3
    assert _value(ran.proxy, 'privacyplease_proxy_records_total{outcome="accepted"}') == 3
    assert _value(ran.proxy, 'privacyplease_proxy_records_total{outcome="rejected"}') == 1
    assert _value(ran.proxy, 'privacyplease_proxy_segments{state="live"}') == 3
    assert (
        _value(ran.proxy, 'privacyplease_proxy_verification_failures_total{reason="ERROR_REASON_CELLS_MISSING"}') == 1
    )
    missing = 'privacyplease_proxy_refusals_total{reason="ERROR_REASON_CELLS_MISSING"}'
    assert _value(ran.proxy, missing) == 1
    asked = {calls.method for calls in ran.status.activity.calls} & QUESTIONS
    assert len(asked) >= 11
    for question in asked:
        assert _value(ran.proxy, f'privacyplease_proxy_question_cells_sum{{method="{question}"}}') > 0, question


def test_both_servers_count_the_same_cells(ran: Ran) -> None:
    for what in ("cells", "bytes"):
        appended = _value(ran.proxy, f"privacyplease_proxy_{what}_appended_total")
        assert appended == _value(ran.server, f'privacyplease_server_{what}_total{{operation="appended"}}') > 0
    assert _value(ran.server, 'privacyplease_server_cells_total{operation="selected"}') > 0
    calls = _value(ran.server, 'privacyplease_server_calls_total{code="OK",method="Append"}')
    took = 'privacyplease_proxy_storage_call_seconds_count{code="OK",method="Append"}'
    assert _value(ran.proxy, took) == calls == 3


def test_only_refusals_are_logged_and_with_their_reason(ran: Ran) -> None:
    refused = [(line["rpc"], line["code"], line["reason"]) for line in ran.log if line["message"] == "call refused"]
    assert refused == [
        ("PresenceService/FindSessions", "INVALID_ARGUMENT", "ERROR_REASON_MALFORMED_SUBJECT"),
        ("PresenceService/FindSessions", "DATA_LOSS", "ERROR_REASON_CELLS_MISSING"),
    ]
    fields = {"time", "level", "logger", "message", "rpc", "client", "code", "reason", "error_id", "duration_ms"}
    assert all(set(line) <= fields for line in ran.log)


def test_status_agrees_with_the_metrics(ran: Ran) -> None:
    activity = ran.status.activity
    presence = {calls.method: calls for calls in activity.calls}["PresenceService/FindSessions"]
    assert (presence.calls, presence.failed) == (3, 2)
    assert presence.mean_cells == pytest.approx(2 / 3)
    assert timedelta(0) < presence.median.ToTimedelta() <= presence.percentile_95.ToTimedelta()
    assert (activity.ingestion.batches, activity.ingestion.accepted, activity.ingestion.rejected) == (3, 3, 1)


def test_a_fault_is_found_in_the_log_by_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    handler = log_format.handler(written, log_format.LogFormat.JSON)
    logging.getLogger().addHandler(handler)
    monkeypatch.setattr(masterkey, "ARGON2", {"iterations": 1, "lanes": 1, "memory_kib": 8})
    monkeypatch.setattr(ManifestView, "overlapping", _fail)
    try:
        with (
            serving(f"sqlite:///{tmp_path}/cells.db") as storage,
            proxying(tmp_path / "home", storage.address) as proxy,
        ):
            proxy.ingest("wifi", [SESSION])
            with pytest.raises(grpc.RpcError):
                proxy.occupancy.Count(occupancy_service_pb2.CountRequest(interval=DAY))
    finally:
        logging.getLogger().removeHandler(handler)
    place, refusal = (json.loads(line) for line in written.getvalue().splitlines() if "INFO" not in line)
    assert refusal["code"] == "INTERNAL"
    assert refusal["error_id"] in place["message"]
    assert place["rpc"] == "OccupancyService/Count"
    assert PLACE not in written.getvalue()


def _fail(*_: object) -> None:
    raise ValueError(f"a message that quotes {PLACE}")


def test_grpc_retries_are_visible_at_the_storage_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masterkey, "ARGON2", {"iterations": 1, "lanes": 1, "memory_kib": 8})
    with serving(f"sqlite:///{tmp_path}/cells.db") as storage, proxying(tmp_path / "home", storage.address) as proxy:
        append, failures = storage.store.append, [StoreUnavailableError("away"), StoreUnavailableError("away")]

        def flaky(cells: Sequence[Cell]) -> None:
            if failures:
                raise failures.pop()
            append(cells)

        monkeypatch.setattr(storage.store, "append", flaky)
        assert [answer.accepted for answer in proxy.ingest("wifi", [SESSION])] == [1]
        server, took = _text(storage.metrics.registry), _text(proxy.metrics.registry)
    assert _value(server, "privacyplease_server_retried_calls_total") == 2
    assert _value(server, 'privacyplease_server_store_errors_total{kind="unavailable"}') == 2
    assert _value(server, 'privacyplease_server_calls_total{code="UNAVAILABLE",method="Append"}') == 2
    assert _value(took, 'privacyplease_proxy_storage_call_seconds_count{code="OK",method="Append"}') == 1


def test_a_locked_proxy_reports_it_and_takes_no_label_from_a_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masterkey, "ARGON2", {"iterations": 1, "lanes": 1, "memory_kib": 8})
    with serving(f"sqlite:///{tmp_path}/cells.db") as storage:
        with proxying(tmp_path / "home", storage.address):
            pass
        with proxying(tmp_path / "home", storage.address, passphrase="another") as proxy:
            for method in ("GetStatus", "north-door"):
                with pytest.raises(grpc.RpcError):
                    proxy.channel.unary_unary(f"/privacyplease.proxy.v1.AdminService/{method}", None, None)(b"")
            text = _text(proxy.metrics.registry)
    assert _value(text, "privacyplease_proxy_locked") == 1
    assert _value(text, 'privacyplease_proxy_refusals_total{reason="ERROR_REASON_WRONG_PASSPHRASE"}') == 1
    assert "north" not in text


def test_a_process_serves_metrics_and_writes_json(tmp_path: Path) -> None:
    address = tmp_path / "metrics"
    flags = ("--metrics", "127.0.0.1:0", "--metrics-address-file", str(address), "--log-format", "json")
    with StorageProcess(f"sqlite:///{tmp_path}/cells.db", *flags) as server:
        with urllib.request.urlopen(f"http://{address.read_text().strip()}/metrics") as response:
            assert _families(response.read().decode()).keys() == {
                name for name in _documented() if name.startswith("privacyplease_server_")
            }
        assert "serving on" in json.loads(server.log.splitlines()[0])["message"]


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "127.0.0.1", "example.org:9"])
def test_metrics_are_served_on_loopback_alone(tmp_path: Path, listen: str) -> None:
    with pytest.raises(RuntimeError, match="--metrics is allowed only on loopback"):
        StorageProcess(f"sqlite:///{tmp_path}/cells.db", "--metrics", listen).start()
