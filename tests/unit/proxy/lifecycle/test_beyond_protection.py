"""What is not detected, as docs/THREAT_MODEL.md says: changes by a writer to the trusted store or to a witness."""

from __future__ import annotations

import json
from pathlib import Path

from sqlalchemy import delete, insert, select

from privacyplease.proxy.manifest.rows import SegmentState
from privacyplease.proxy.manifest.witnesses import FileWitness
from privacyplease.proxy.trusted_store.store import writing
from privacyplease.proxy.trusted_store.tables import gone_segments, segments
from tests.services.lifecycle_core import sessions
from tests.services.site import Site

START = 1_727_740_800_000  # 2024-10-01


def test_a_row_deleted_from_the_trusted_store_is_not_detected(site: Site) -> None:
    core = site.start()
    core.ingest(sessions(0, 10, START))
    core.ingest(sessions(10, 10, START))
    (first, _) = core.rows(SegmentState.LIVE)
    with writing(core.store) as connection:
        connection.execute(delete(segments).where(segments.c.number == first.number))
    assert site.start().devices() == set(range(10, 20))


def test_a_row_put_back_into_the_trusted_store_is_not_detected(site: Site) -> None:
    """If the server colludes and brings the cells back; otherwise questions fail."""
    core = site.start()
    core.ingest(sessions(0, 10, START))
    (live,) = core.rows(SegmentState.LIVE)
    cells = dict(site.storage.cells)
    with core.store.connect() as connection:
        row = connection.execute(select(segments).where(segments.c.number == live.number)).one()
    core.compact()
    core.collect(None)
    replaced = [of.number for of in core.rows(SegmentState.LIVE)]
    with writing(core.store) as connection:
        connection.execute(insert(segments), row._asdict())
        connection.execute(delete(gone_segments).where(gone_segments.c.number == live.number))
    site.storage.cells = cells | site.storage.cells
    core = site.start()
    assert [of.number for of in core.rows(SegmentState.LIVE)] == [live.number, *replaced]
    assert core.devices() == set(range(10))


def test_a_writer_to_a_witness_can_keep_it_from_recording_newer_heads(site: Site, tmp_path: Path) -> None:
    (folder := tmp_path / "witness").mkdir()
    site.witnesses = [FileWitness(folder)]
    site.start().ingest(sessions(0, 10, START))
    (file,) = folder.iterdir()
    file.write_text(json.dumps(json.loads(file.read_text()) | {"version": 1 << 60}))
    roll_back, cells = site.snapshot(), dict(site.storage.cells)
    site.start().ingest(sessions(10, 10, START))
    roll_back()
    site.storage.cells = cells
    assert site.start().devices() == set(range(10))


def test_only_witnesses_know_changes_since_the_last_head_that_was_sent(site: Site, tmp_path: Path) -> None:
    """A flush's last change, from SENT to LIVE, sends nothing to the server."""
    core = site.start()
    row = core.send(sessions(0, 10, START))
    roll_back = site.snapshot()
    core = site.start()
    core.flush_recovery.recover("wifi")
    assert core.devices() == set(range(10))
    roll_back()
    core = site.start()
    assert core.devices() == set()
    assert [of.number for of in core.rows(SegmentState.SENT)] == [row.number]
