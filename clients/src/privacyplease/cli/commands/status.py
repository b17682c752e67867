"""`privacyplease status`: how the system is doing."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import typer

from privacyplease.cli import activity, screen
from privacyplease.cli.exits import ExitCode
from privacyplease.cli.forms import Csv, Json, written
from privacyplease.cli.target import Target, target
from privacyplease.cli.times import iso

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from privacyplease.cli.local.daemon import Daemon
    from privacyplease.client import Keyring, Status

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def status(context: typer.Context, json: Json = False, csv: Csv = False) -> None:
    """Show how both servers, the store and the keys are doing.

    Exits with 4 unless both servers and the store answer.

    Example: privacyplease status
    """
    found = document(target(context))
    if not written(found, json, csv):
        _show(found)
    if not found["healthy"]:
        raise typer.Exit(ExitCode.TRY_AGAIN)


def document(asked: Target) -> dict[str, Any]:
    """The answer as --json prints it; what is unknown is null."""
    running = None if asked.proxy else asked.home.running()
    daemons = {daemon.name: _daemon(asked, daemon) for daemon in running.daemons} if running else {}
    address = asked.proxy or (running.proxy.address if running else None)
    system = _system(asked, address) if address else None
    reachable = system is not None and system.storage.reachable
    return {
        "home": None if asked.proxy else str(asked.home.path),
        "healthy": reachable and all(daemon["health"] == "SERVING" for daemon in daemons.values()),
        "proxy": daemons.get("proxy") or (_remote(asked, address) if address else None),
        "server": daemons.get("server"),
        "version": system.version if system else None,
        "storage": _storage(system) if system else None,
        "answers": {"whole": system.answers.whole, "refused": dict(system.answers.refused)} if system else None,
        "policy": _policy(system) if system else None,
        "activity": activity.document(system.activity) if system else None,
        "compaction": _compaction(system) if system else None,
        "cache": asdict(system.cache) if system else None,
        "manifest": asdict(system.manifest) if system else None,
        "keyrings": [_keyring(keyring) for keyring in system.keyrings] if system else None,
    }


def _system(asked: Target, proxy: str) -> Status | None:
    from privacyplease.client import Client
    from privacyplease.client.errors import TryAgainError

    try:
        with Client(proxy, certificates=asked.certificate(), insecure=asked.plaintext(), timeout=5) as client:
            return client.status()
    except TryAgainError:
        return None


def _daemon(asked: Target, daemon: Daemon) -> dict[str, Any]:
    alive = daemon.process() is not None
    certificate = asked.certificate() if daemon.name == "proxy" else asked.server_certificate()
    health = _health(daemon.address, certificate) if alive else "GONE"
    metrics = f"http://{daemon.metrics}/metrics" if alive and daemon.metrics else None
    return {"address": daemon.address, "health": health, "pid": daemon.pid if alive else None, "metrics": metrics}


def _remote(asked: Target, address: str) -> dict[str, Any]:
    return {"address": address, "health": _health(address, asked.certificate()), "pid": None, "metrics": None}


def _health(address: str, certificate: Path | None) -> str:
    from privacyplease.cli.local.health import check

    return check(address, certificate).value


def _storage(system: Status) -> dict[str, Any]:
    storage = system.storage
    return {
        "reachable": storage.reachable,
        "store": storage.store,
        "cells": storage.cells,
        "bytes": storage.bytes,
    }


def _compaction(system: Status) -> dict[str, Any]:
    compaction = system.compaction
    return {
        "fresh_segments": compaction.fresh_segments,
        "fresh_records": compaction.fresh_records,
        "last_round": iso(compaction.last_round) if compaction.last_round else None,
        "failure": compaction.failure or None,
    }


def _policy(system: Status) -> dict[str, Any]:
    return {"loaded_at": iso(system.policy.loaded_at), "problem": system.policy.problem or None}


def _keyring(keyring: Keyring) -> dict[str, Any]:
    """Epochs by the instant at which each begins."""
    width = timedelta(days=keyring.epoch_days)
    return {
        "dataset": keyring.dataset,
        "epoch_days": keyring.epoch_days,
        "epochs": [iso(_EPOCH + epoch * width) for epoch in keyring.epochs],
    }


def _show(found: dict[str, Any]) -> None:
    out = screen.out()
    if found["proxy"] is None:
        out.print(f"nothing runs in {found['home']}; start it with: privacyplease up")
        return
    for name in ("proxy", "server"):
        if found[name]:
            pid = f"  pid {found[name]['pid']}" if found[name]["pid"] else ""
            metrics = f"  metrics {found[name]['metrics']}" if found[name]["metrics"] else ""
            out.print(f"{name:8}{found[name]['health']}  {found[name]['address']}{pid}{metrics}")
    if found["storage"]:
        out.print(f"store   {_storage_line(found['storage'])}")
    if found["manifest"]:
        for line in _manifest_lines(found["manifest"]):
            out.print(line)
    if found["answers"]:
        out.print(f"answers {_answers_line(found['answers'])}")
    if found["policy"]:
        out.print(f"policy  {_policy_line(found['policy'])}")
    if found["compaction"]:
        out.print(f"fresh   {_compaction_line(found['compaction'])}")
    if found["cache"]:
        out.print(f"cache   {_cache_line(found['cache'])}")
    for keyring in found["keyrings"] or ():
        out.print(f"{keyring['dataset']:8}{_keyring_line(keyring)}")
    if found["activity"]:
        for line in activity.lines(found["activity"], out.width):
            out.print(line)


def _storage_line(storage: dict[str, Any]) -> str:
    if not storage["reachable"]:
        return "away"
    return f"{storage['store']}, {screen.counted(storage['cells'], 'cell')}, {screen.mebibytes(storage['bytes'])}"


def _answers_line(answers: dict[str, Any]) -> str:
    refused = "".join(
        f"; {screen.number(times)} refused: {reason.lower().replace('_', ' ')}"
        for reason, times in answers["refused"].items()
    )
    return f"{screen.number(answers['whole'])} of the store were whole{refused}"


def _policy_line(policy: dict[str, Any]) -> str:
    line = f"of {policy['loaded_at']}"
    return f"{line}; its file is not taken: {policy['problem']}" if policy["problem"] else line


def _manifest_lines(manifest: dict[str, Any]) -> Iterator[str]:
    live = screen.counted(manifest["live_segments"], "segment")
    more = "".join(
        f", {screen.number(manifest[f'{state}_segments'])} {state}"
        for state in ("retired", "unsettled")
        if manifest[f"{state}_segments"]
    )
    yield f"        {live}{more}, by version {screen.number(manifest['version'])} of the manifest"
    if outgrown := manifest["outgrown_cells"]:
        yield f"        {screen.counted(outgrown, 'cell')} outgrown: raise bytes_per_record of the data set"
    failures = manifest["witness_failures"]
    failed = f"; one could not be reached {screen.counted(failures, 'time')}" if failures else ""
    if manifest["witnesses"] or failures:
        yield f"head    kept by {screen.counted(manifest['witnesses'], 'witness', 'witnesses')}{failed}"


def _compaction_line(compaction: dict[str, Any]) -> str:
    segments = screen.counted(compaction["fresh_segments"], "segment")
    line = f"{segments} not compacted yet, {screen.counted(compaction['fresh_records'], 'record')}"
    return f"{line}; the last round stopped short: {compaction['failure']}" if compaction["failure"] else line


def _cache_line(cache: dict[str, Any]) -> str:
    asked = cache["hits"] + cache["misses"]
    line = f"{screen.mebibytes(cache['bytes'])} of cells"
    return f"{line}; {cache['hits'] / asked:.0%} of {screen.counted(asked, 'cell')} were there" if asked else line


def _keyring_line(keyring: dict[str, Any]) -> str:
    epochs = keyring["epochs"]
    if not epochs:
        return "no keys yet: nothing was ingested"
    return f"keys of {screen.counted(len(epochs), 'epoch')} of {keyring['epoch_days']} days, from {epochs[0]} on"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(status)
