"""Records in, answers out, through the commands as a user gives them."""

import csv
import json
import shutil
import sqlite3
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from privacyplease.cli import completion
from tests.services.terminal import terminal

pytestmark = pytest.mark.usefixtures("up")

Ask = Callable[..., str]

HEADER = "Client MAC Address,AP Name,Association Time,Session Duration"
LOG = f"""{HEADER},Map Location
02:00:00:00:00:01,ap-1,Tue Oct 01 08:00:00 UTC 2024,30 min 0 sec,Campus > Library > Floor 1
02-00-00-00-00-01,ap-2,Tue Oct 01 08:20:00 UTC 2024,0 sec,Campus > Library > Floor 2
0200.0000.0002,ap-1,Tue Oct 01 08:10:00 UTC 2024,5 min 0 sec,Campus > Library > Floor 1
020000000003,ap-1,last Tuesday,5 min 0 sec,
not a mac,ap-1,Tue Oct 01 08:10:00 UTC 2024,5 min 0 sec,
"""
DAY = ["--from", "2024-10-01", "--to", "2024-10-02"]
WHY = ["--purpose", "test"]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logs") / "log.csv"
    path.write_text(LOG)
    return path


@pytest.fixture(scope="module", autouse=True)
def ingested(up: None, run: Any, log: Path) -> dict[str, Any]:
    result = run("ingest", "wifi", str(log), "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def ask(run: Any) -> Ask:
    """Runs a command and returns its standard output."""

    def ask(*arguments: str, columns: int = 80) -> str:
        result = run(*arguments, COLUMNS=str(columns))
        assert result.returncode == 0, result.stderr
        return str(result.stdout)

    return ask


def _json_answer(ask: Ask, *arguments: str) -> Any:
    return json.loads(ask(*arguments, "--json"))


def _json(run: Any, *arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_ingest_counts_what_reader_and_proxy_reject(ingested: dict[str, Any], log: Path) -> None:
    rejects = f"{log}.rejects.csv"
    assert (ingested["accepted"], ingested["rejected"]) == (3, 2)
    assert ingested["files"] == [{"file": str(log), "accepted": 3, "rejected": 2, "rejects": rejects, "error": ""}]
    with Path(rejects).open() as file:
        rows = {row["line"]: row["field"] for row in csv.DictReader(file)}
    assert rows == {"5": "association_time", "6": "client_mac"}


def test_ingesting_again_changes_no_answer_and_no_reject_file(run: Any, log: Path) -> None:
    before = _json(run, "count", *DAY)
    again = _json(run, "ingest", "wifi", str(log))
    assert again["files"][0]["rejects"] == f"{log}.rejects-2.csv"
    assert _json(run, "count", *DAY) == before == {"distinct_devices": 2}


def test_several_logs_share_a_named_reject_file(run: Any, tmp_path: Path) -> None:
    logs = [tmp_path / "monday.csv", tmp_path / "tuesday.csv"]
    for log in logs:
        log.write_text(f"{HEADER}\n,ap-9,2019-01-01T08:00:00Z,60\n02:00:00:00:00:08,ap-9,2019-01-02T08:00:00Z,60\n")
    rejects = tmp_path / "rejects.csv"
    assert _json(run, "ingest", "wifi", *map(str, logs), "--rejects", str(rejects))["rejected"] == 2
    with rejects.open() as file:
        assert [row["file"] for row in csv.DictReader(file)] == list(map(str, logs))


def test_a_log_can_be_read_from_standard_input(run: Any, process: Any, tmp_path: Path) -> None:
    record = "02:00:00:00:00:09,ap-9,2019-01-01T08:00:00Z,60"
    result = process("ingest", "wifi", "-", "--rejects", str(tmp_path / "rejects.csv"), text=f"{HEADER}\n{record}\n")
    assert result.returncode == 0, result.stderr
    assert "1 record accepted, 0 rejected" in result.stdout
    assert not (tmp_path / "rejects.csv").exists()
    assert _json(run, "count", "--from", "2019-01-01T08:01Z", "--to", "2019-01-01T08:02Z")["distinct_devices"] == 1


def test_presence(run: Any) -> None:
    found = _json(
        run, "presence", "02:00:00:00:00:01", "--from", "2024-10-01T08:10Z", "--to", "2024-10-01T08:25Z", *WHY
    )
    assert found == {
        "device": "02:00:00:00:00:01",
        "present": True,
        "sessions": [
            {"place": "ap-1", "start": "2024-10-01T08:00:00Z", "end": "2024-10-01T08:30:00Z"},
            {"place": "ap-2", "start": "2024-10-01T08:20:00Z", "end": "2024-10-01T08:20:00Z"},
        ],
    }


def test_presence_for_people(run: Any) -> None:
    seen = run("presence", "020000000001", *DAY, *WHY, "--timezone", "Asia/Tokyo").stdout
    assert "02:00:00:00:00:01 was seen: 2 sessions at 2 places" in seen
    assert "2024-10-01T17:00:00+09:00" in seen
    assert "30 min" in seen
    assert "was not seen" in run("presence", "020000000001", *DAY, *WHY, "--place", "ap-9").stdout


def test_a_question_about_a_person_requires_a_purpose(run: Any) -> None:
    for arguments in (["presence", "020000000001", *DAY], ["query", "wifi", *DAY]):
        refused = run(*arguments)
        assert refused.returncode == 3
        assert refused.stdout == ""
        assert "hint: state why you ask with --purpose TEXT" in refused.stderr
        assert run(*arguments, PRIVACYPLEASE_PURPOSE="test").returncode == 0


def test_count(run: Any) -> None:
    assert _json(run, "count", *DAY, "--place", "ap-2", "--exact") == {"distinct_devices": 1}
    assert run("count", *DAY).stdout.startswith("2 distinct devices anywhere from 2024-10-01T00:00:00Z")
    assert _json(run, "count", "--from", "-2h", "--to", "now") == {"distinct_devices": 0}


def test_occupancy(run: Any) -> None:
    hour = ["--from", "2024-10-01T08:00Z", "--to", "2024-10-01T09:00Z", "--step", "15m"]
    found = _json(run, "occupancy", *hour)
    assert found["peak"] == {"at": "2024-10-01T08:00:00Z", "distinct_devices": 2}
    assert [step["distinct_devices"] for step in found["series"]][:4] == [2, 2, 1, 0]
    chart = run("occupancy", *hour).stdout
    assert "▲" in chart
    assert "peak: 2 distinct devices in the step from 2024-10-01T08:00:00Z" in chart


def test_places(run: Any) -> None:
    first, second = _json(run, "places", *DAY)["places"]
    assert first == {"place": "ap-1", "distinct_devices": 2}
    assert second == {"place": "ap-2", "distinct_devices": 1}
    assert "ap-1" in run("places", *DAY).stdout


def test_floors_are_the_locations_of_places(ask: Ask) -> None:
    floors = [("Campus > Library > Floor 1", 2), ("Campus > Library > Floor 2", 1)]
    assert [(row["floor"], row["distinct_devices"]) for row in _json_answer(ask, "floors", *DAY)["floors"]] == floors
    assert ask("floors", *DAY, "--depth", "2", "--csv") == "floor,distinct_devices\nCampus > Library,2\n"
    assert "Floor 2" in ask("floors", *DAY)
    assert ask("locations", *DAY, "--csv").splitlines()[1] == "ap-1,Campus > Library > Floor 1"


def test_dwell(ask: Ask) -> None:
    found = _json_answer(ask, "dwell", *DAY, "--bounds", "1s,10m", "--look-back", "1d")
    assert [row["sessions"] for row in found["classes"]] == [1, 1, 1]
    assert (found["median"], found["returning_devices"], found["new_devices"]) == (300, 0, 2)
    assert _json_answer(ask, "dwell", *DAY)["new_devices"] is None
    assert "3 sessions; half of them last 5 min or less" in ask("dwell", *DAY)


def test_explain_shows_what_the_server_sees(ask: Ask) -> None:
    found = _json_answer(ask, "explain", *DAY, "--place", "ap-1")
    assert found["answer"] == 2
    assert len(found["first_cells"]) == found["cells"] > 0
    assert all(len(tag) == 32 for tag in found["first_tags"])
    assert found["records_distinct"] == 2
    of_a_device = [*DAY, "--device", "02:00:00:00:00:01", *WHY]
    assert _json_answer(ask, "explain", *of_a_device)["first_tags"] == found["first_tags"]
    assert "answer     2 sessions" in ask("explain", *of_a_device)


def test_answers_are_csv_on_request(ask: Ask) -> None:
    assert ask("count", *DAY, "--csv") == "distinct_devices\n2\n"
    assert ask("places", *DAY, "--csv").splitlines() == ["place,distinct_devices", "ap-1,2", "ap-2,1"]
    seen = ask("presence", "02:00:00:00:00:01", *DAY, *WHY, "--csv").splitlines()
    assert seen[:2] == ["place,start,end", "ap-1,2024-10-01T08:00:00Z,2024-10-01T08:30:00Z"]
    assert "proxy.health,SERVING" in ask("status", "--csv")
    assert "distinct_devices" not in ask("occupancy", *DAY, "--step", "1h")


def test_tables_and_charts_fit_the_terminal(ask: Ask) -> None:
    questions = [
        ("floors", *DAY),
        ("places", *DAY),
        ("locations", *DAY),
        ("dwell", *DAY),
        ("occupancy", *DAY, "--step", "1h"),
        ("explain", *DAY, "--place", "ap-1"),
        ("presence", "02:00:00:00:00:01", *DAY, *WHY),
    ]
    for arguments in questions:
        lines = ask(*arguments, columns=72).splitlines()
        assert max(map(len, lines)) <= 72, arguments


def test_watch_prints_once_if_output_is_not_a_terminal(ask: Ask) -> None:
    look = ask("watch", "--as-of", "2024-10-01T08:20Z", "--speed", "0")
    assert look.startswith("2 people, 2024-10-01T08:20:00Z\n")
    assert _json_answer(ask, "watch", "--as-of", "2024-10-01T08:20Z", "--speed", "0")["floors"] == [
        {"floor": "Campus > Library > Floor 1", "distinct_devices": 2},
        {"floor": "Campus > Library > Floor 2", "distinct_devices": 1},
    ]


def test_watch_refreshes_a_terminal_until_ctrl_c(home: Path, up: None) -> None:
    with terminal(home, "watch", "--as-of", "2024-10-01T08:20Z", "--speed", "60", "--every", "1s") as watching:
        assert "2 people" in watching.until("ap-2")
        assert "08:2" in watching.until("ap-2")
        watching.type("\x03")
        assert "\x1b[?1049l" in watching.until_the_end()
        assert watching.exit_code == 0


def test_the_shell_completes_names_that_the_proxy_knows(run: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "_TIMEOUT_S", 60.0)  # on a busy machine an answer may take longer than a user waits

    def completed(line: str) -> list[str]:
        words = {"COMP_WORDS": f"privacyplease {line}", "COMP_CWORD": str(len(line.split(" ")))}
        return run(_PRIVACYPLEASE_COMPLETE="complete_bash", PRIVACYPLEASE_HOME=str(home), **words).stdout.split()

    day = "--from 2024-10-01 --to 2024-10-02"
    assert completed(f"count {day} --place ap-") == ["ap-1", "ap-2"]
    assert completed("count --dataset ") == ["bikes", "wifi"]
    assert completed("query w") == ["wifi"]
    assert completed(f"query wifi {day} --place ap-") == ["ap-1", "ap-2"]
    assert completed(f"query wifi {day} --subject ") == []  # devices are never offered
    assert completed("query nope --column ") == []
    assert completed("query wifi --column client_") == ["client_mac", "client_ip"]
    assert completed("--home /nowhere count --dataset ") == []


def test_query(run: Any, process: Any, tmp_path: Path) -> None:
    arguments = ["query", "wifi", *DAY, "--place", "ap-1", "--column", "client_mac", *WHY]
    lines = process(*arguments, "--json").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"client_mac": "02:00:00:00:00:01"},
        {"client_mac": "02:00:00:00:00:02"},
    ]
    assert run(*arguments).stdout.splitlines() == ['"client_mac"', '"02:00:00:00:00:01"', '"02:00:00:00:00:02"']
    result = run(*arguments, "-o", str(tmp_path / "records.arrow"))
    assert "2 records in" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["presence", "zz", *DAY, *WHY], 3, "MAC"),
        (["count", "--from", "2024-10-02", "--to", "2024-10-01"], 3, "--from must not be later"),
        (["count", *DAY, "--dataset", "nope"], 3, "data set"),
        (["query", "wifi", *DAY, *WHY, "--column", "nope"], 3, "nope"),
        (["ingest", "wifi", "no/such/log.csv"], 2, "No such file"),
        (["ingest", "wifi", __file__], 3, "header"),
        (["ingest", "wifi", __file__, "--timezone", "CST"], 2, "time zone"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_errors_say_why(run: Any, arguments: list[str], code: int, words: str) -> None:
    result = run(*arguments)
    assert result.returncode == code
    assert result.stderr.startswith("error: ")
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_status_shows_the_store(run: Any) -> None:
    found = _json(run, "status")
    assert found["healthy"]
    assert found["proxy"]["health"] == found["server"]["health"] == "SERVING"
    assert found["storage"]["cells"] > 0
    (wifi,) = (keyring for keyring in found["keyrings"] if keyring["dataset"] == "wifi")
    assert wifi["epochs"]
    assert "MiB" in run("status").stdout


def test_status_shows_recent_activity(run: Any) -> None:
    _json(run, "count", *DAY)
    status = _json(run, "status")
    assert status["cache"]["bytes"] > 0
    assert status["cache"]["hits"] > 0  # recent records are in memory
    assert status["manifest"]["live_segments"] > 0
    assert status["manifest"]["unsettled_segments"] == 0
    assert status["compaction"]["fresh_segments"] <= status["manifest"]["live_segments"]
    found = status["activity"]
    count = {call["method"]: call for call in found["calls"]}["OccupancyService/Count"]
    assert 0 < count["p50_seconds"] <= count["p95_seconds"]
    assert count["mean_cells"] == 0
    assert found["ingestion"]["accepted"] > 0
    assert found["ingestion"]["newest_record"]["wifi"].startswith("20")
    shown = run("status").stdout
    assert "OccupancyService/Count" in shown
    assert "newest  wifi record ends" in shown
    assert "MiB of cells" in shown


def test_status_shows_the_addresses_of_metrics(run: Any) -> None:
    found = _json(run, "status")
    for name in ("proxy", "server"):
        with urllib.request.urlopen(found[name]["metrics"]) as metrics:
            assert f"privacyplease_{name}_calls_total" in metrics.read().decode()


def test_the_audit_log_is_shown_and_verified(run: Any, home: Path, tmp_path: Path) -> None:
    device = "02:00:00:00:00:01"
    run("presence", device, *DAY, "--purpose", "audited")
    shown = _json(run, "audit", "show", "--rpc", "PresenceService", "--device", device, "--from", "-1h")["entries"]
    asked = [entry for entry in shown if entry["purpose"] == "audited"]
    assert [(entry["event"], entry["who"]) for entry in asked] == [("asked", "operator"), ("answered", "operator")]
    assert device not in json.dumps(shown)
    assert _json(run, "audit", "show", "--who", "nobody")["entries"] == []
    assert 'purpose "audited"' in run("audit", "show", "--rpc", "PresenceService/FindSessions").stdout
    found = _json(run, "audit", "verify")
    assert (found["findings"], found["lines"] >= len(shown) > 0) == ([], True)
    copy = shutil.copytree(home / "proxy" / "audit", tmp_path / "copy")
    offline = ["audit", "verify", "--offline", "--log", str(copy)]
    assert _json(run, *offline)["findings"] == []
    (file,) = copy.iterdir()
    file.write_bytes(file.read_bytes().replace(b"audited", b"Audited"))
    edited = run(*offline)
    assert (edited.returncode, "was edited" in edited.stdout) == (1, True)
    assert "error: 2 findings in" in edited.stderr  # as it was asked, and as it was answered


def test_verify_accepts_a_sound_store_and_finds_missing_cells(run: Any, process: Any, home: Path) -> None:
    assert process("down").returncode == 0
    assert process("up", "--detach", "--proxy-port", "0", "--cache-mib", "0").returncode == 0
    assert _json(run, "count", *DAY)["distinct_devices"] > 0
    activity = _json(run, "status")["activity"]
    assert {call["method"]: call for call in activity["calls"]}["OccupancyService/Count"]["mean_cells"] > 0
    sound = _json(run, "verify")
    assert (sound["sound"], sound["findings"]) == (True, [])
    assert sound["cells"] > 0
    assert "all are present" in run("verify", "--dataset", "wifi").stdout
    with sqlite3.connect(home / "server" / "store.db") as database:
        database.execute("DELETE FROM cells")
    result = run("verify", "--json")
    assert (result.returncode, json.loads(result.stdout)["missing"]) == (5, sound["cells"])
    since = run("verify", "--from", "2024-10-01T00:00Z", "--json")
    assert 0 < json.loads(since.stdout)["missing"] <= sound["cells"]
    shown = run("verify")
    assert (shown.returncode, shown.stderr) == (5, "")
    assert shown.stdout.startswith("data set  group")
    assert f"{sound['cells']} missing, 0 unexpected, 0 damaged" in shown.stdout.splitlines()[-1]
    assert run("verify", "--from", "2030-01-01").returncode == 0
    run("explain", *DAY, "--place", "ap-1")  # a count is answered from memory
    assert _json(run, "status")["answers"]["refused"] == {"CELLS_MISSING": 1}
