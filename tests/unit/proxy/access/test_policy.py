import pytest

from privacyplease.proxy.access.policy import DEFAULT_CALLS_PER_MINUTE, EVERYBODY, Grant, Policy, Revoked, Role, parse
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.records import dataset

DATASETS = dataset.load()

FULL = """
audit = "all"
[clients.alice]
roles = ["count", "presence", "self"]
datasets = ["wifi"]
devices = ["AABB.CCDD.EEFF", "02-00-00-00-00-01"]
purposes = [" fire drill "]
longest_interval = "31d"
calls_per_minute = 60
burst = 10
[clients.collector]
roles = ["ingest"]
batches_per_second = 20
cells_per_minute = 30
calls_per_minute = 6
[clients.dashboard]
roles = ["count"]
may_act_for = ["alice"]
[plaintext]
roles = ["count"]
[revoked]
names = ["mallory"]
certificates = ["0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F:0F"]
"""


def test_every_entry_is_read() -> None:
    policy = parse(FULL, DATASETS)
    assert policy.of("alice") == Grant(
        roles=frozenset({Role.COUNT, Role.PRESENCE, Role.SELF}),
        datasets=frozenset({"wifi"}),
        devices=frozenset({"aa:bb:cc:dd:ee:ff", "02:00:00:00:00:01"}),
        purposes=frozenset({"fire drill"}),
        longest_interval=31 * 86_400_000,
        calls_per_minute=60,
        burst=10,
    )
    assert (policy.of("collector").cells_per_minute, policy.of("alice").cells_per_minute) == (30, 6_000_000)
    assert (policy.of("collector").batches_per_second, policy.of("collector").burst) == (20, 6)
    assert policy.of("dashboard").may_act_for == {"alice"}
    assert policy.plaintext.roles == {Role.COUNT}
    assert policy.audit_everything
    assert policy.revoked == Revoked(frozenset({"mallory"}), frozenset({"0f" * 32}))


def test_a_revoked_name_may_ask_nothing_although_it_has_an_entry() -> None:
    revoked = '[clients.alice]\nroles = ["count"]\n[revoked]\nnames = ["alice"]'
    assert not parse(revoked, DATASETS).of("alice").roles


def test_an_identity_without_an_entry_may_ask_nothing() -> None:
    assert parse("", DATASETS) == Policy()
    assert not Policy().of("mallory").roles
    assert Policy().plaintext == Grant()
    assert not Grant().roles


def test_every_client_has_a_rate() -> None:
    entries = "[clients.alice]\n[clients.bob]\ncalls_per_minute = 60\n[plaintext]\n"
    for text, default in ((entries, DEFAULT_CALLS_PER_MINUTE), (f"calls_per_minute = 30\n{entries}", 30)):
        policy = parse(text, DATASETS)
        grants = [policy.of(name) for name in ("alice", "bob", "mallory")]
        assert [(grant.calls_per_minute, grant.burst) for grant in grants] == [
            (default, default),
            (60, 60),
            (default, default),
        ]
        assert policy.plaintext.calls_per_minute is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('revoked.names = ["Alice"]', "revoked.names: expected a name"),
        ('revoked.certificates = ["0f"]', "revoked.certificates: expected SHA-256 fingerprints"),
        ('revoked.serials = ["0f"]', "revoked.serials: no such entry"),
        ("clients = 1", "clients: expected dict, got int"),
        ("[client.alice]", "client: no such entry"),
        ("[clients.Alice]", "clients.Alice: expected a name"),
        ("clients.alice = 1", "clients.alice: expected a table"),
        ('[clients.alice]\nrole = ["count"]', "clients.alice.role: no such entry"),
        ('[clients.alice]\nroles = "count"', "clients.alice.roles: expected list, got str"),
        ('[clients.alice]\nroles = ["root"]', "clients.alice.roles: expected some of ingest, count"),
        ("[clients.alice]\nroles = [1]", "clients.alice.roles: expected a list of non-blank texts"),
        ('[clients.alice]\ndatasets = ["cars"]', "clients.alice.datasets: expected some of bikes, wifi, got cars"),
        ('[clients.alice]\ndevices = ["aa:bb"]', "clients.alice.devices: expected MAC addresses"),
        ('[clients.alice]\npurposes = [" "]', "clients.alice.purposes: expected a list of non-blank texts"),
        ('[clients.alice]\nlongest_interval = "month"', "clients.alice.longest_interval: expected a duration"),
        ("[clients.alice]\ncalls_per_minute = 0", "clients.alice.calls_per_minute: expected 1 to"),
        ("[clients.alice]\ncalls_per_minute = true", "clients.alice.calls_per_minute: expected int, got bool"),
        ("[clients.alice]\nburst = 5", "clients.alice.burst: expected calls_per_minute as well"),
        ('[clients.alice]\nmay_act_for = ["bob"]', "clients.alice.may_act_for: no entry for bob"),
        ("calls_per_minute = 0", "calls_per_minute: expected 1 to"),
        ('audit = "none"', 'audit: expected "persons" or "all"'),
        ('plaintext = ["count"]', "plaintext: expected dict"),
        ("[clients.alice", "not TOML"),
    ],
)
def test_an_invalid_policy_is_refused_naming_the_entry(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse(text, DATASETS)
    assert str(raised.value).startswith(words)


def test_on_behalf_of_a_user_a_service_may_ask_what_both_may() -> None:
    service = Grant(
        roles=frozenset({Role.COUNT, Role.PRESENCE}),
        datasets=frozenset({"wifi", "bikes"}),
        devices=frozenset({"02:00:00:00:00:01"}),
        longest_interval=100,
        calls_per_minute=60,
        may_act_for=frozenset({EVERYBODY}),
    )
    person = Grant(
        roles=frozenset({Role.COUNT, Role.ADMIN}),
        datasets=frozenset({"wifi"}),
        devices=frozenset({"02:00:00:00:00:02"}),
        purposes=frozenset({"fire drill"}),
        longest_interval=200,
    )
    both = service.on_behalf_of(person)
    assert (both.roles, both.datasets, both.devices) == ({Role.COUNT}, {"wifi"}, {"02:00:00:00:00:02"})
    assert (both.purposes, both.longest_interval, both.calls_per_minute) == ({"fire drill"}, 100, 60)
    assert service.acts_for("anybody")
    assert not person.acts_for("anybody")
    apart = Grant(datasets=frozenset({"wifi"})).on_behalf_of(Grant(datasets=frozenset({"bikes"})))
    assert apart.datasets == set()  # empty means none here, not all
