"""Apache Kafka's jars."""

from __future__ import annotations

from pathlib import Path

from tests.services import maven_jars

_POM = Path(__file__).with_name("kafka") / "pom.xml"


def fetch() -> Path:
    """The folder of the jars.

    Raises:
        JarsUnavailableError: This machine cannot run a private Kafka.
    """
    return maven_jars.fetch("kafka", _POM)


def class_archive() -> Path:
    """The path of the class data archive that a broker's first run creates and later runs start from."""
    return maven_jars.class_archive(fetch())
