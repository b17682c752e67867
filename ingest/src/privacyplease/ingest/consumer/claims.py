"""Which partitions are ours, and how far each is done. No Kafka, no thread, no clock.

A partition that is taken away and given back is claimed anew, and read again from its committed offset. So a batch that
was read under an earlier claim says nothing about what may be committed now.

>>> claims = Claims()
>>> claims.assigned([0, 1])
>>> batch = Batch([], ends={0: 10, 1: 20}, claims=claims.of({0, 1}))
>>> claims.revoked([1])
>>> claims.assigned([1])
>>> claims.done(batch)
>>> claims.uncommitted()
{0: 10}
"""

from collections.abc import Iterable, Mapping

from privacyplease.ingest.consumer.batch import Batch

__all__ = ["Claims"]


class Claims:
    """The claims of one member of a group."""

    def __init__(self) -> None:
        self._count = 0
        self._claims: dict[int, int] = {}
        self._done: dict[int, int] = {}
        self._committed: dict[int, int] = {}

    def assigned(self, partitions: Iterable[int]) -> None:
        """These partitions are ours from now on."""
        for partition in partitions:
            self._count += 1
            self._claims[partition] = self._count

    def revoked(self, partitions: Iterable[int]) -> None:
        """These partitions are ours no more."""
        for partition in partitions:
            for known in (self._claims, self._done, self._committed):
                known.pop(partition, None)

    def of(self, partitions: Iterable[int]) -> dict[int, int]:
        """The claims to those of the partitions that are ours."""
        return {partition: self._claims[partition] for partition in partitions if partition in self._claims}

    def done(self, batch: Batch) -> None:
        """A batch is durable, and so is every batch before it."""
        for partition, claim in batch.claims.items():
            if self._claims.get(partition) == claim:
                self._done[partition] = batch.ends[partition]

    def uncommitted(self) -> dict[int, int]:
        """For each partition that is further than its last commit, the offset to commit."""
        return {each: end for each, end in self._done.items() if self._committed.get(each) != end}

    def committing(self, offsets: Mapping[int, int]) -> None:
        """A commit of these offsets is under way."""
        self._committed.update(offsets)

    def failed(self, partitions: Iterable[int]) -> None:
        """A commit failed: it is due again."""
        for partition in partitions:
            self._committed.pop(partition, None)
