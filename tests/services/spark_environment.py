"""Spark's environment: PySpark is large, so it is in a virtual environment of its own, made by `make spark-setup`.

| variable | what it names |
|---|---|
| `SPARK_VENV` | the environment; by default `.venv-spark` in the repository |
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.services import maven_jars

ROOT = Path(__file__).parents[2]

# Small and quick to start: Spark shares two cores with everything else that a test runs.
_DEFAULTS = """\
spark.driver.extraJavaOptions    -XX:+UseSerialGC -XX:TieredStopAtLevel=1
spark.executor.extraJavaOptions  -XX:+UseSerialGC -XX:TieredStopAtLevel=1
spark.driver.memory              1g
spark.executor.memory            768m
spark.ui.enabled                 false
spark.eventLog.enabled           true
spark.eventLog.compress          false
spark.eventLog.dir               {folder}/events
spark.local.dir                  {folder}/local
"""


class SparkUnavailableError(Exception):
    """This machine cannot run Spark; the message says what is missing."""


def python() -> Path:
    """The interpreter that has PySpark and our distributions.

    Raises:
        SparkUnavailableError: There is none.
    """
    interpreter = Path(os.environ.get("SPARK_VENV") or ROOT / ".venv-spark").absolute() / "bin" / "python"
    if not (interpreter.parent / "spark-submit").exists():
        raise SparkUnavailableError(f"expected PySpark in {interpreter.parent.parent} (make spark-setup), got none")
    return interpreter


def connector() -> Path:
    """The folder of the jars of Spark's Kafka connector.

    Raises:
        SparkUnavailableError: They cannot be fetched.
    """
    pom = ROOT / "ingest" / "src" / "privacyplease" / "ingest" / "spark" / "connector" / "pom.xml"
    try:
        return maven_jars.fetch("spark-connector", pom)
    except maven_jars.JarsUnavailableError as error:
        raise SparkUnavailableError(str(error)) from error


def configured(folder: Path, **settings: str) -> dict[str, str]:
    """The environment variables of a driver, whose Spark writes only below a folder.

    Args:
        folder: Where `events`, `local` and the settings are put.
        settings: More settings for `spark-defaults.conf`, with `__` in place of the dots.
    """
    configuration = folder / "conf"
    for each in (configuration, folder / "events", folder / "local"):
        each.mkdir(parents=True, exist_ok=True)
    lines = [f"{name.replace('__', '.')} {value}" for name, value in settings.items()]
    defaults = configuration / "spark-defaults.conf"
    defaults.write_text(_DEFAULTS.format(folder=folder) + "\n".join(lines) + "\n", encoding="utf-8")
    # Nothing listens but on loopback.
    return {
        "SPARK_CONF_DIR": str(configuration),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder / "local"),
    }
