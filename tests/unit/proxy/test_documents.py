"""No text, however it is nested, makes a parser of JSON or TOML raise what its callers do not expect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from privacyplease.proxy.access import policy
from privacyplease.proxy.access.policy_file import PolicyFile
from privacyplease.proxy.audit.chain import START, open_line, seal
from privacyplease.proxy.documents import from_json, from_toml
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.keys import master_key
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.records import dataset

NESTED = "[" * 100_000 + "]" * 100_000
TOML = {"nested": f"a = {NESTED}", "a number of 5,000 digits": "a = " + "9" * 5_000}

READERS: dict[str, Callable[[Path], object]] = {
    "master.toml": lambda file: Home(file.parent).master_key_choice,
    "allowed-master-keys.toml": lambda file: Home(file.parent).master_key_named("hsm"),
    "policy.toml": lambda file: PolicyFile(file, {}),
    "own.toml": lambda file: dataset.load(file.parent),
}


@pytest.mark.parametrize("text", TOML.values(), ids=TOML)
def test_toml_that_cannot_be_parsed_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested less deeply|integer string conversion"):
        from_toml(text)


@pytest.mark.parametrize("text", [NESTED, "9" * 5_000, '{"a":' * 100_000], ids=["nested", "digits", "objects"])
def test_json_that_cannot_be_parsed_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested less deeply|integer string conversion"):
        from_json(text)


@pytest.mark.parametrize("text", TOML.values(), ids=TOML)
@pytest.mark.parametrize("name", READERS)
def test_a_file_of_settings_is_refused_by_its_name(name: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=name):
        READERS[name](file)


@pytest.mark.parametrize("text", TOML.values(), ids=TOML)
def test_a_policy_and_a_definition_are_refused(text: str) -> None:
    for parse in (lambda: policy.parse(text, {}), lambda: dataset.parse(text)):
        with pytest.raises(ConfigurationError, match="not TOML"):
            parse()


def test_a_nested_master_key_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    file.write_text(NESTED)
    with pytest.raises(ConfigurationError, match="expected a file of format"):
        master_key.load(file, "secret")


def test_a_nested_line_is_no_line_of_the_audit_log() -> None:
    line, _ = seal(Key(bytes(32)), START, {"n": 1, "a": "-"})
    assert open_line(line) is not None
    assert open_line(line.replace(b'"-"', NESTED.encode())) is None


def test_nothing_else_in_the_proxy_parses_json_or_toml_from_outside() -> None:
    """What remains reads the proxy's own database and folder, or counts `RecursionError` among its errors."""
    own = {"json_lines.py", "shapes.py", "archive.py", "restore.py", "documents.py"}
    source = Path(str(master_key.__file__)).parents[1]
    parsing = {path.name for path in source.rglob("*.py") if {"json.loads(", "tomllib.loads("} & _calls(path)}
    assert parsing <= own


def _calls(path: Path) -> set[str]:
    text = path.read_text()
    return {call for call in ("json.loads(", "tomllib.loads(") if call in text}
