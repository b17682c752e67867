"""Spark's session for a stream from Kafka."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from privacyplease.ingest.errors import SettingsError, SparkError
from privacyplease.ingest.spark.masters import repeating
from privacyplease.ingest.spark.spill_protection import ENCRYPTION

__all__ = ["open_session"]

_SETTINGS = {
    ENCRYPTION: "true",
    # A task that fails often enough ends the query. Executors and workers may die more often than Spark's default.
    "spark.task.maxFailures": "8",
    # However large messages are: a batch is in the executor's memory as a whole.
    "spark.sql.execution.arrow.maxBytesPerBatch": str(16 << 20),
    # The end of a Python traceback says what went wrong; the rest is about Spark.
    "spark.sql.execution.pyspark.udf.hideTraceback.enabled": "true",
    "spark.sql.adaptive.enabled": "false",  # has no effect on streams but a warning
    "spark.ui.showConsoleProgress": "false",
}


def open_session(master: str, jars: Path | None) -> SparkSession:
    """Opens a session, with the settings of `spark-defaults.conf` and those that a sink needs.

    Args:
        master: Spark's master, such as `local[2]` or `spark://host:7077`.
        jars: The folder with the jars of the Kafka connector; None if Spark has them already.

    Raises:
        SettingsError: The folder has no jars.
        SparkError: Spark does not start.
    """
    # The executors' Python is the driver's, unless the cluster has another.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.Builder().appName("privacyplease").master(repeating(master))
    for name, value in _SETTINGS.items():
        builder = builder.config(name, value)
    if jars is not None:
        builder = builder.config("spark.jars", ",".join(_jars(jars)))
    try:
        session = builder.getOrCreate()
    except (PySparkException, RuntimeError) as error:
        raise SparkError(f"Spark does not start: {error}") from error
    if not (Path(os.environ.get("SPARK_CONF_DIR", "")) / "log4j2.properties").exists():
        session.sparkContext.setLogLevel("FATAL")  # a failure is logged in one line, by us
    return session


def _jars(folder: Path) -> list[str]:
    jars = sorted(str(jar.resolve()) for jar in folder.glob("*.jar"))
    if not jars:
        raise SettingsError(f"expected the jars of Spark's Kafka connector in {folder}, got none")
    return jars
