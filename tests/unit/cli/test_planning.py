"""The planner's arithmetic, and its constants against cells that are really sealed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from privacyplease.cli import planning
from privacyplease.cli.planning import PLACE_BYTES, SUBJECT_BYTES, Deployment, plan
from privacyplease.ingest.simulate import simulate
from privacyplease.proxy import rollups, tiers
from privacyplease.proxy.layouts import Layout
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.tables import check

CAMPUS = {"devices": 1_000, "places": 80, "rows_per_day": 24_500}


def test_more_devices_make_more_bins_and_never_fewer_in_each() -> None:
    for devices in (50, 100, 999, 5_000, 1_000_000):
        found = plan(Deployment(devices, 80, 24_500))
        assert found.subject.anonymity_set >= min(devices, 100)
        assert found.subject.bins == max(devices // 100, 1)


def test_more_bins_fetch_less_for_a_range_and_a_longer_range_fetches_more() -> None:
    many, few = (plan(Deployment(**CAMPUS, least_devices=least)).subject.fetched_bytes for least in (50, 500))
    assert many["30 d"] < few["30 d"]
    assert many["1 h"] < many["1 d"] < many["30 d"]


def test_a_dominant_place_gets_fewer_bins_and_a_warning_that_names_its_share() -> None:
    even, dominated = plan(Deployment(**CAMPUS)), plan(Deployment(**CAMPUS, dominant_share=0.6))
    assert dominated.place.bins < even.place.bins
    assert not even.warnings
    assert "the busiest place has 60% of all sessions" in dominated.warnings[0]


def test_hiding_a_dominant_place_costs_what_its_bin_holds_in_every_bin() -> None:
    for share in (0.3, 0.5, 0.9):
        found = plan(Deployment(**CAMPUS, dominant_share=share))
        assert found.place.fullest >= found.place.bins * share
        assert found.storage_hidden > found.storage_shown


def test_hiding_that_costs_more_than_allowed_is_not_recommended() -> None:
    cheap, dear = plan(Deployment(**CAMPUS)), plan(Deployment(**CAMPUS, most_storage=0.1))
    assert cheap.hide_volume
    assert not dear.hide_volume
    assert "tells how much is in it" in dear.warnings[-1]


def test_the_busier_it_is_the_narrower_are_the_buckets() -> None:
    order = ["1d", "6h", "1h", "15m"]
    widths = [plan(Deployment(1_000, 80, rows)).base_width for rows in (500, 5_000, 24_500, 1_000_000)]
    assert widths == order


def test_the_smallest_deployment_has_a_plan() -> None:
    found = plan(Deployment(1, 1, 1))
    assert (found.subject.bins, found.place.bins) == (1, 1)
    assert found.subject.fullest == 1
    assert all(size > 0 for size in found.place.fetched_bytes.values())


@pytest.mark.parametrize(("index", "promised"), [("subject", SUBJECT_BYTES), ("place", PLACE_BYTES)])
def test_a_record_takes_the_bytes_that_plans_reckon_with(index: str, promised: int) -> None:
    wifi = dataset.load()["wifi"]
    carried = wifi.carried(wifi.index(index))
    sessions = pa.concat_tables(simulate(devices=1_000, places=80, days=3, seed=7))
    records = check(sessions, wifi).records.select(carried.names)
    keys = [(name, "ascending") for name in (wifi.place, wifi.subject, wifi.start)]
    ordered = records.slice(0, 10_000).sort_by(keys).combine_chunks().to_batches()[0]
    layout = Layout.make(1, carried)
    assert len(layout.compressor(level=3).compress(ordered)) / len(ordered) == pytest.approx(promised, rel=0.15)


@pytest.mark.parametrize(("places", "dominant_share"), [(80, None), (400, None), (80, 0.2), (80, 0.6)])
def test_the_fullest_bin_is_as_full_as_hashing_makes_it(places: int, dominant_share: float | None) -> None:
    shares = np.array([rank**-0.9 for rank in range(1, places + 1)])
    if dominant_share:
        shares[0] = shares[1:].sum() * dominant_share / (1 - dominant_share)
    found = plan(Deployment(1_000, places, 24_500, dominant_share)).place
    lots = np.random.default_rng(1).integers(0, found.bins, (1_000, places))
    fullest = [np.bincount(lot, shares / shares.sum(), found.bins).max() * found.bins for lot in lots]
    assert found.fullest == pytest.approx(float(np.mean(fullest)), rel=0.1)


def test_a_count_reads_roll_ups_between_the_ends_of_its_range() -> None:
    found = plan(Deployment(20_000, 400, 600_000))
    assert found.place.rollup_bytes > 0
    assert found.counted_bytes["1 h"] == found.place.fetched_bytes["1 h"]
    assert found.counted_bytes["30 d"] < found.place.fetched_bytes["30 d"] / 3


def test_runs_that_are_soon_read_have_no_roll_ups() -> None:
    found = plan(Deployment(100, 20, 200))
    assert found.place.rollup_bytes == 0
    assert found.counted_bytes == found.place.fetched_bytes


def test_what_the_proxy_decides_is_the_proxys() -> None:
    assert (planning.TARGET_BYTES, planning.LEAST_RUN_BYTES) == (tiers.TARGET_BYTES, rollups.LEAST_RUN_BYTES)
    assert dataset.load()["wifi"].timeline.epoch == planning.EPOCH_DAYS * 86_400_000
    assert planning.MOST_BINS == dataset.MOST_BINS
