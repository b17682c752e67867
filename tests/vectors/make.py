"""Makes the known answers of `docs/FORMAT.md`: `python -m tests.vectors.make`.

Nothing of Privacy Please is imported, neither here nor in the other modules of this package. Each value is computed
independently from the document, with the simplest tools there are: one AES block at a time, HMAC from the standard
library, GMAC and sketches by hand. Inputs are hashes of their names, so every run makes the same files.

Where a file has vectors that must be refused, its first vector is valid, and each of the others says only how it
differs from that, and which kind of failure is expected.

Only `pages.json` and `cells.json` depend on the versions of Arrow and zstd, which may encode a batch in different
bytes: those are an example that every reader must open, not the only ones that a writer may make.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.vectors import of_keys, of_manifest, of_pages, of_records, of_segments
from tests.vectors.primitives import Vectors

FOLDER = Path(__file__).parent
DEPENDS_ON_LIBRARY_VERSIONS = frozenset({"pages", "cells"})

FILES: dict[str, Callable[[], Vectors]] = {
    "cmac": of_keys.cmacs,
    "keys": of_keys.keys,
    "wrapped_keys": of_keys.wrapped_keys,
    "erasable_keys": of_keys.erasable_keys,
    "hsm_keys": of_keys.hsm_keys,
    "master_keys": of_keys.master_keys,
    "letters": of_keys.letters,
    "tags": of_segments.tags,
    "sizes": of_segments.sizes,
    "subject_hashes": of_segments.subject_hashes,
    "filters": of_segments.filters,
    "filter_lengths": of_segments.filter_lengths,
    "sketches": of_segments.sketches,
    "pages": of_pages.pages,
    "cells": of_segments.cells,
    "digests": of_segments.digests,
    "manifest_rows": of_manifest.manifest_rows,
    "heads": of_manifest.heads,
    "destroyed_keys": of_manifest.destroyed_keys,
    "links": of_manifest.links,
    "head_numbers": of_manifest.head_numbers,
    "audit_logs": of_records.audit_logs,
    "exported_keyrings": of_records.exported_keyrings,
}


def text(name: str) -> str:
    """The content of the file of that name, as committed."""
    return json.dumps(FILES[name](), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name in FILES:
        (FOLDER / f"{name}.json").write_text(text(name), encoding="utf-8")
