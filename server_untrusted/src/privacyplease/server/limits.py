"""The bounds of one call (storage_service.proto, `Limits`)."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from privacyplease.server.errors import StartError
from privacyplease.storage.v1 import storage_service_pb2 as pb

MIB = 1 << 20

_LARGEST_CELL_BYTES = 16 * MIB - 1  # the capacity of a MEDIUMBLOB
_ENVELOPE_BYTES = 64 << 10  # tag and field headers of one cell in a message, with room to spare


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one call.

    Attributes:
        max_tags_per_predicate: Tags in one predicate.
        max_cells_per_append: Cells in one append.
        max_cell_bytes: The length of one cell's ciphertext.
        max_message_bytes: The size of one message; gRPC itself refuses larger ones.
    """

    max_tags_per_predicate: int = 65_536
    max_cells_per_append: int = 16_384
    max_cell_bytes: int = 8 * MIB
    max_message_bytes: int = 32 * MIB

    def __post_init__(self) -> None:
        """Raises StartError for bounds that are below 1 or contradict each other."""
        for name, bound in asdict(self).items():
            if bound < 1:
                raise StartError(f"{name}: expected at least 1, got {bound:,}")
        largest = min(_LARGEST_CELL_BYTES, self.max_message_bytes - _ENVELOPE_BYTES)
        if self.max_cell_bytes > largest:
            raise StartError(f"max_cell_bytes: expected at most {largest:,}, got {self.max_cell_bytes:,}")

    def message(self) -> pb.Limits:
        """The limits as a message of the contract."""
        return pb.Limits(**asdict(self))
