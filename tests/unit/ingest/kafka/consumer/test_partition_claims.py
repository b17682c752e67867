from privacyplease.ingest.kafka.consumer.batch import MessageBatch
from privacyplease.ingest.kafka.consumer.partition_claims import PartitionClaims


def _batch(claims: PartitionClaims, **ends: int) -> MessageBatch:
    offsets = {int(name[1:]): end for name, end in ends.items()}
    return MessageBatch([], offsets, claims.current(offsets))


def test_only_completed_batches_are_committed_and_only_once() -> None:
    claims = PartitionClaims()
    claims.assign([0, 1])
    assert claims.uncommitted() == {}
    claims.complete(_batch(claims, p0=10, p1=7))
    assert claims.uncommitted() == {0: 10, 1: 7}
    claims.commit_started({0: 10, 1: 7})
    assert claims.uncommitted() == {}
    claims.complete(_batch(claims, p0=12))
    assert claims.uncommitted() == {0: 12}


def test_a_failed_commit_is_due_again() -> None:
    claims = PartitionClaims()
    claims.assign([0, 1])
    claims.complete(_batch(claims, p0=10, p1=7))
    claims.commit_started(claims.uncommitted())
    claims.commit_failed([1])
    assert claims.uncommitted() == {1: 7}


def test_a_batch_of_an_earlier_claim_commits_nothing() -> None:
    claims = PartitionClaims()
    claims.assign([0, 1])
    late = _batch(claims, p0=10, p1=7)
    claims.revoke([0])
    claims.assign([0])
    claims.complete(late)
    assert claims.uncommitted() == {1: 7}


def test_a_revoked_partition_is_not_committed() -> None:
    claims = PartitionClaims()
    claims.assign([0])
    claims.complete(_batch(claims, p0=10))
    claims.revoke([0])
    assert claims.uncommitted() == {}
    assert claims.current([0, 1]) == {}
