from privacyplease.ingest.consumer.batch import Batch
from privacyplease.ingest.consumer.claims import Claims


def _batch(claims: Claims, **ends: int) -> Batch:
    found = {int(name[1:]): end for name, end in ends.items()}
    return Batch([], found, claims.of(found))


def test_only_what_is_done_is_committed_and_only_once() -> None:
    claims = Claims()
    claims.assigned([0, 1])
    assert claims.uncommitted() == {}
    claims.done(_batch(claims, p0=10, p1=7))
    assert claims.uncommitted() == {0: 10, 1: 7}
    claims.committing({0: 10, 1: 7})
    assert claims.uncommitted() == {}
    claims.done(_batch(claims, p0=12))
    assert claims.uncommitted() == {0: 12}


def test_a_commit_that_failed_is_due_again() -> None:
    claims = Claims()
    claims.assigned([0, 1])
    claims.done(_batch(claims, p0=10, p1=7))
    claims.committing(claims.uncommitted())
    claims.failed([1])
    assert claims.uncommitted() == {1: 7}


def test_a_batch_of_an_earlier_claim_commits_nothing() -> None:
    claims = Claims()
    claims.assigned([0, 1])
    late = _batch(claims, p0=10, p1=7)
    claims.revoked([0])
    claims.assigned([0])
    claims.done(late)
    assert claims.uncommitted() == {1: 7}


def test_a_partition_that_is_gone_is_not_committed() -> None:
    claims = Claims()
    claims.assigned([0])
    claims.done(_batch(claims, p0=10))
    claims.revoked([0])
    assert claims.uncommitted() == {}
    assert claims.of([0, 1]) == {}
