"""`privacyplease status`: the state of both servers, the store and the keys."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import typer

from privacyplease.cli.connection import ConnectionOptions, connection_options
from privacyplease.cli.exit_codes import ExitCode
from privacyplease.cli.output import activity, screen
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs
from privacyplease.cli.times import iso

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from privacyplease.cli.local.server_process import ServerProcess
    from privacyplease.client import Erasure, Keyring, Status

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMEOUT_S = 5.0


def status(context: typer.Context, json: Json = False, csv: Csv = False) -> None:
    """Show the state of both servers, the store and the keys.

    Exits with 4 unless both servers and the store respond.

    Example: privacyplease status
    """
    options = connection_options(context)
    document = as_document(options)
    if not printed_for_programs(document, json, csv):
        _show(document, options)
    if not document["healthy"]:
        raise typer.Exit(ExitCode.TRY_AGAIN)


def as_document(options: ConnectionOptions) -> dict[str, Any]:
    """The answer as --json prints it; what is unknown is null."""
    running = None if options.proxy else options.home.running()
    servers = {server.name: _server(options, server) for server in running.processes} if running else {}
    address = options.proxy or (running.proxy.address if running else None)
    system = _system(options) if address else None
    reachable = system is not None and system.storage.reachable
    return {
        "home": None if options.proxy else str(options.home.path),
        "healthy": reachable and all(server["health"] == "SERVING" for server in servers.values()),
        "proxy": servers.get("proxy") or (_remote_proxy(options, address) if address else None),
        "server": servers.get("server"),
        "version": system.version if system else None,
        "storage": _storage(system) if system else None,
        "answers": {"whole": system.answers.whole, "refused": dict(system.answers.refused)} if system else None,
        "policy": _policy(system) if system else None,
        "activity": activity.as_document(system.activity) if system else None,
        "compaction": _compaction(system) if system else None,
        "cache": asdict(system.cache) if system else None,
        "manifest": asdict(system.manifest) if system else None,
        "disk": asdict(system.disk) if system else None,
        "erasures": [_erasure(erasure) for erasure in system.erasures] if system else None,
        "keyrings": [_keyring(keyring) for keyring in system.keyrings] if system else None,
    }


def _system(options: ConnectionOptions) -> Status | None:
    from privacyplease.client.errors import TryAgainError

    try:
        with options.client(timeout=_TIMEOUT_S) as client:
            return client.status()
    except TryAgainError:
        return None


def _server(options: ConnectionOptions, server: ServerProcess) -> dict[str, Any]:
    alive = server.process() is not None
    certificate = options.certificate() if server.name == "proxy" else options.storage_certificate()
    health = _health(server.address, certificate) if alive else "GONE"
    metrics = f"http://{server.metrics}/metrics" if alive and server.metrics else None
    return {"address": server.address, "health": health, "pid": server.pid if alive else None, "metrics": metrics}


def _remote_proxy(options: ConnectionOptions, address: str) -> dict[str, Any]:
    return {"address": address, "health": _health(address, options.certificate()), "pid": None, "metrics": None}


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
    policy = system.policy
    approvals = {"required": policy.approvals, "waiting": policy.approvals_waiting}
    return {"loaded_at": iso(policy.loaded_at), "problem": policy.problem or None, "approvals": approvals}


def _erasure(erasure: Erasure) -> dict[str, Any]:
    start = iso(erasure.start) if erasure.start else None
    return {"dataset": erasure.dataset, "start": start, "waits_for": erasure.waits_for}


def _keyring(keyring: Keyring) -> dict[str, Any]:
    """Epochs by the instant at which each begins."""
    length = timedelta(days=keyring.epoch_days)
    return {
        "dataset": keyring.dataset,
        "epoch_days": keyring.epoch_days,
        "epochs": [iso(_EPOCH + epoch * length) for epoch in keyring.epochs],
    }


def _show(document: dict[str, Any], options: ConnectionOptions) -> None:
    out = screen.out()
    if document["proxy"] is None:
        out.print(f"nothing is running in {document['home']}; start it with: {options.home.command('up')}")
        return
    for line in (*_server_lines(document), *_system_lines(document)):
        out.print(line)
    if document["activity"]:
        for line in activity.lines(document["activity"], out.width):
            out.print(line)


def _server_lines(document: dict[str, Any]) -> Iterator[str]:
    for name in ("proxy", "server"):
        if server := document[name]:
            pid = f"  pid {server['pid']}" if server["pid"] else ""
            metrics = f"  metrics {server['metrics']}" if server["metrics"] else ""
            yield f"{name:8}{server['health']}  {server['address']}{pid}{metrics}"


def _system_lines(document: dict[str, Any]) -> Iterator[str]:
    """What the proxy says of the system; nothing if it does not respond."""
    if document["storage"] is None:
        return
    yield f"store   {_storage_line(document['storage'])}"
    yield from _manifest_lines(document["manifest"])
    yield f"answers {_answers_line(document['answers'])}"
    yield f"policy  {_policy_line(document['policy'])}"
    yield f"fresh   {_compaction_line(document['compaction'])}"
    yield f"cache   {_cache_line(document['cache'])}"
    yield f"disk    {disk_line(document['disk'])}"
    for erasure in document["erasures"]:
        period = f" from {erasure['start']}" if erasure["start"] else ""
        yield f"erasing {erasure['dataset']}{period}: {erasure['waits_for']}"
    for keyring in document["keyrings"]:
        yield f"{keyring['dataset']:8}{_keyring_line(keyring)}"


def _storage_line(storage: dict[str, Any]) -> str:
    if not storage["reachable"]:
        return "unreachable"
    return f"{storage['store']}, {screen.counted(storage['cells'], 'cell')}, {screen.mebibytes(storage['bytes'])}"


def _answers_line(answers: dict[str, Any]) -> str:
    refused = "".join(
        f"; {screen.number(times)} rejected: {reason.lower().replace('_', ' ')}"
        for reason, times in answers["refused"].items()
    )
    return f"{screen.number(answers['whole'])} from the store were complete{refused}"


def _policy_line(policy: dict[str, Any]) -> str:
    approvals = policy["approvals"]
    second = f"{screen.counted(approvals['waiting'], 'approval')} waiting" if approvals["required"] else "approvals off"
    line = f"loaded {policy['loaded_at']}, {second}"
    return f"{line}; the current file is not in force: {policy['problem']}" if policy["problem"] else line


def _manifest_lines(manifest: dict[str, Any]) -> Iterator[str]:
    live = screen.counted(manifest["live_segments"], "segment")
    more = "".join(
        f", {screen.number(manifest[f'{state}_segments'])} {state}"
        for state in ("retired", "unsettled")
        if manifest[f"{state}_segments"]
    )
    yield f"        {live}{more}, in version {screen.number(manifest['version'])} of the manifest"
    if outgrown := manifest["outgrown_cells"]:
        yield f"        {screen.counted(outgrown, 'cell')} outgrown: raise bytes_per_record of the data set"
    failures = manifest["witness_failures"]
    failed = f"; {screen.counted(failures, 'failed attempt')} to reach one" if failures else ""
    if manifest["witnesses"] or failures:
        yield f"head    kept by {screen.counted(manifest['witnesses'], 'witness', 'witnesses')}{failed}"


def _compaction_line(compaction: dict[str, Any]) -> str:
    segments = screen.counted(compaction["fresh_segments"], "segment")
    line = f"{segments} not compacted yet, {screen.counted(compaction['fresh_records'], 'record')}"
    return f"{line}; the last round failed: {compaction['failure']}" if compaction["failure"] else line


def _cache_line(cache: dict[str, Any]) -> str:
    lookups = cache["hits"] + cache["misses"]
    line = f"{screen.mebibytes(cache['bytes'])} of cells"
    if not lookups:
        return line
    return f"{line}; {cache['hits'] / lookups:.0%} of {screen.counted(lookups, 'requested cell')} were in memory"


def disk_line(disk: dict[str, Any]) -> str:
    """What is free on the disk of the proxy's home, with a warning if that is little."""
    line = f"{screen.mebibytes(disk['free_bytes'])} free for the proxy's home"
    if disk["full"]:
        return f"{line}; warning: full: records and questions about persons are refused until there is room"
    return f"{line}; warning: less than 1 GiB" if disk["low"] else line


def _keyring_line(keyring: dict[str, Any]) -> str:
    epochs = keyring["epochs"]
    if not epochs:
        return "no keys yet: nothing has been ingested"
    return f"keys of {screen.counted(len(epochs), 'epoch')} of {keyring['epoch_days']} days, from {epochs[0]} on"
