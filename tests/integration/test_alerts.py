"""`docs/alerts.yml` in Prometheus' own `promtool`: it reads the rules, and they fire when they should."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ALERTS = Path(__file__).parents[2] / "docs" / "alerts.yml"
PROMTOOL = shutil.which("promtool")

pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="expected promtool, which Prometheus comes with; got none")

PROXY, SERVER = "privacyplease_proxy_", "privacyplease_server_"
ACCEPTED = PROXY + 'records_total{outcome="accepted"}'
REJECTED = PROXY + 'records_total{outcome="rejected"}'
OVERLOADED = PROXY + 'refusals_total{reason="ERROR_REASON_OVERLOADED"}'

# Of each alert: series by name, as values from one minute to the next; a minute at which it fires, and one at which
# it does not.
CASES: dict[str, tuple[dict[str, str], int, int]] = {
    "TargetDown": ({'up{job="privacyplease-proxy"}': "1x10 0x20"}, 15, 9),
    "IngestStalled": ({ACCEPTED: "0+100x60 6000x120"}, 110, 80),
    "NewestRecordOld": ({PROXY + 'newest_record_timestamp_seconds{dataset="1"}': "0x500"}, 400, 300),
    "ConsumerFallsBehind": ({'privacyplease_consumer_lag_messages{partition="0"}': "20000x60 20000+100x60"}, 100, 59),
    "SparkFallsBehind": ({'privacyplease_spark_lag_messages{partition="0"}': "20000x60 20000+100x60"}, 100, 59),
    "CertificateExpires": ({SERVER + 'certificate_days_left{certificate="own"}': "22x100 20x100"}, 180, 99),
    "CertificateExpired": ({PROXY + 'certificate_days_left{hop="storage",certificate="own"}': "22x10 0x10"}, 12, 9),
    "CompactionBehind": ({PROXY + "compaction_backlog_segments": "100x60 9000x120"}, 150, 59),
    "Overloaded": ({OVERLOADED: "0x30 0+60x60"}, 60, 29),
    "StorageOverloaded": ({SERVER + 'calls_total{code="RESOURCE_EXHAUSTED"}': "0x30 0+60x60"}, 60, 29),
    "ProxyDiskFills": ({PROXY + "home_free_bytes": "9e9x400 9e9-1e7x400"}, 790, 399),
    "StorageDiskFills": ({SERVER + "store_free_bytes": "9e9x400 9e9-1e7x400"}, 790, 399),
    "StorageDiskLow": ({SERVER + "store_free_bytes": "9e9x10 1e8x20"}, 20, 9),
    "RecordsRejected": ({ACCEPTED: "0+100x120", REJECTED: "0x60 0+50x60"}, 110, 59),
    "ApprovalWaiting": ({PROXY + "approvals_waiting": "0x10 1x100"}, 90, 60),
}


def test_prometheus_reads_the_rules() -> None:
    done = subprocess.run([str(PROMTOOL), "check", "rules", ALERTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_when_it_should_and_not_before(alert: str, tmp_path: Path) -> None:
    series, fires, silent = CASES[alert]
    assert _fired(alert, series, fires, tmp_path)
    assert not _fired(alert, series, silent, tmp_path)


def _fired(alert: str, series: dict[str, str], minute: int, folder: Path) -> list[str]:
    """The alerts of a name that fire at a minute, as promtool describes them."""
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        # An expectation that is never met, so that promtool prints what it got.
        "alert_rule_test": [
            {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": [{"exp_labels": {"none": "such"}}]}
        ],
    }
    file = folder / "tests.yml"
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [test]}))
    done = subprocess.run([str(PROMTOOL), "test", "rules", file], capture_output=True, text=True, check=False)
    got = (done.stdout + done.stderr).partition("got:")[2]
    assert got, done.stdout + done.stderr
    return [line for line in got.splitlines() if f'alertname="{alert}"' in line]
