"""Cells: records sealed into pages, and opened again.

::

    cell       = version (1 byte) ‖ nonce (12) ‖ AES-256-GCM(cell key, nonce, page, associated data)
    page       = layout number (u32) ‖ frame length (u32) ‖ zstd frame ‖ zeros up to the padded length
    associated = label ‖ data set ‖ index ‖ tag ‖ cell id, each preceded by its length

The associated data is what ties a cell to its place: moved under another tag or given another id, it does not open.
`docs/FORMAT.md` has the bytes in full and vectors beside them.

>>> padme(1000)
1024
"""

from __future__ import annotations

import struct

import pyarrow as pa
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from privacyplease.proxy.errors import CellDamagedError
from privacyplease.proxy.keys.derivation import Key, context
from privacyplease.proxy.keys.master_key import NONCE_BYTES
from privacyplease.proxy.layouts import COMPRESSION_LEVEL, Layout, Layouts

VERSION = b"\x01"
CELL_ID_BYTES = 16
CELL_PAGE_LABEL = b"privacyplease/v1/cell-page"

# No page is smaller, so that cells of a few records all look alike.
LEAST_PAGE_BYTES = 256

# A sealed cell is longer than its page by version, nonce and authentication tag.
OVERHEAD_BYTES = 1 + NONCE_BYTES + 16

_HEADER = struct.Struct(">II")


def padme(length: int) -> int:
    """The padded length: at most 12 % more, and one of O(log log length) bits of information.

    Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", PoPETs 2019, §4.
    """
    exponent = length.bit_length() - 1
    free_bits = exponent - exponent.bit_length() if exponent > 0 else 0
    mask = (1 << max(free_bits, 0)) - 1
    return (length + mask) & ~mask


def coarse(length: int) -> int:
    """The padded length where many cells share one: four lengths to each doubling, at most 25 % more.

    Coarser than `padme`, since it is paid for by hiding more: 56 lengths from 256 bytes to 4 MiB.
    """
    step = 1 << max((length - 1).bit_length() - 3, 0)
    return -(-length // step) * step


class Sealer:
    """Seals cells of one index in one epoch. It serves one thread."""

    def __init__(
        self, key: Key, layout: Layout, dataset: str, index: str, compression: int = COMPRESSION_LEVEL
    ) -> None:
        self._aead = AESGCM(key.reveal())
        self._layout = layout
        self._compressor = layout.compressor(compression)
        self._place = _Place(dataset, index)

    def seal(self, batch: pa.RecordBatch, tag: bytes, cell_id: bytes, nonce: bytes) -> bytes:
        """Seals a batch of the layout's schema, padded for itself. See `enclose`."""
        content = self.content(batch)
        return self.enclose(content, padme(max(len(content), LEAST_PAGE_BYTES)), tag, cell_id, nonce)

    def content(self, batch: pa.RecordBatch) -> bytes:
        """A page of a batch of the layout's schema, not padded yet. The batch may have no records."""
        frame = self._compressor.compress(batch)
        return _HEADER.pack(self._layout.number, len(frame)) + frame

    def enclose(self, content: bytes, length: int, tag: bytes, cell_id: bytes, nonce: bytes) -> bytes:
        """Pads and seals a page.

        Args:
            content: The page, as `content` gives it.
            length: What to pad it to.
            tag: 16 bytes.
            cell_id: 16 random bytes.
            nonce: 12 random bytes, never used twice under one key. With 2^32 cells under a key the chance that two
                random ones meet is 2^-33 (NIST SP 800-38D §8.3 allows 2^32 uses).
        """
        page = content + bytes(length - len(content))
        return VERSION + nonce + self._aead.encrypt(nonce, page, self._place.associated(tag, cell_id))


class Opener:
    """Opens cells of one index in one epoch. It serves one thread."""

    def __init__(self, key: Key, layouts: Layouts, dataset: str, index: str, schema: pa.Schema) -> None:
        """Opens into batches of `schema`; columns that a cell of an older layout lacks are null."""
        self._aead = AESGCM(key.reveal())
        self._layouts = layouts
        self._dataset, self._index, self._schema = dataset, index, schema
        self._place = _Place(dataset, index)
        self._decoders: dict[int, tuple[zstandard.ZstdDecompressor, pa.Schema]] = {}

    def open(self, sealed: bytes, tag: bytes, cell_id: bytes) -> pa.RecordBatch:
        """Opens a cell.

        Raises:
            CellDamagedError: It was changed, or was sealed for another place.
        """
        try:
            if sealed[:1] != VERSION:
                raise ValueError("version")
            nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
            page = self._aead.decrypt(nonce, body, self._place.associated(tag, cell_id))
        except (InvalidTag, ValueError) as error:
            raise CellDamagedError("a cell does not open: it was changed or moved", cells=1) from error
        number, length = _HEADER.unpack_from(page)
        decompressor, schema = self._decoder(number)
        frame = page[_HEADER.size : _HEADER.size + length]
        batch = pa.ipc.read_record_batch(pa.py_buffer(decompressor.decompress(frame)), schema)
        return batch if schema is self._schema else _adapt(batch, self._schema)

    def _decoder(self, number: int) -> tuple[zstandard.ZstdDecompressor, pa.Schema]:
        if number not in self._decoders:
            layout = self._layouts.numbered(self._dataset, self._index, number)
            schema = self._schema if layout.schema == self._schema else layout.schema
            self._decoders[number] = layout.decompressor(), schema
        return self._decoders[number]


class _Place:
    """Makes the associated data of cells of one index."""

    def __init__(self, dataset: str, index: str) -> None:
        self._index = context(CELL_PAGE_LABEL, dataset, index)

    def associated(self, tag: bytes, cell_id: bytes) -> bytes:
        return self._index + context(tag, cell_id)


def _adapt(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch of an older layout as one of today's."""
    has = set(batch.schema.names)
    columns = [batch[field.name] if field.name in has else pa.nulls(len(batch), field.type) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
