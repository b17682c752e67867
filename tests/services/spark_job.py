"""`privacyplease ingest spark` as a user starts it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.services import spark_environment
from tests.services.daemon import Daemon

_END_S = 300.0


class SparkJob(Daemon):
    """A driver, which may be killed and started again with the same checkpoint.

    Args:
        folder: The folder of its log, its checkpoint and all that its Spark writes.
        proxy: The proxy's address.
        bootstrap: Kafka's address.
        topic: The topic to consume.
        flags: Further flags, such as `("--trigger", "now")`; the data set is `wifi` by default.
        name: The name of its log.
        certificates: The folder of its certificates.
        settings: More settings for `spark-defaults.conf`, with `__` in place of the dots.
    """

    def __init__(
        self,
        folder: Path,
        proxy: str,
        bootstrap: str,
        topic: str,
        *flags: str,
        name: str = "spark",
        certificates: Path,
        **settings: str,
    ) -> None:
        defaults = [] if "--dataset" in flags else ["--dataset", "wifi"]
        defaults += [] if "--checkpoint" in flags else ["--checkpoint", str(folder / "checkpoint")]
        command = ["-m", "privacyplease.cli", "--proxy", proxy, "--certificates", str(certificates), "ingest", "spark"]
        command += ["--bootstrap", bootstrap, "--topic", topic, "--jars", str(spark_environment.connector())]
        environment = spark_environment.configured(folder, **settings)
        super().__init__(name, [*command, *defaults, *flags], folder, **environment)

    def _interpreter(self) -> str:
        return str(spark_environment.python())

    @property
    def started(self) -> bool:
        """Whether its query has been started."""
        return "INFO started" in self.log

    def wait(self, seconds: float = _END_S) -> int:
        """Waits until it has ended by itself, and returns its exit code."""
        code, self._process = self._running().wait(seconds), None
        return code


def run_script(script: str, folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Runs a program with Spark's interpreter, whatever becomes of it.

    Args:
        script: The program.
        folder: Where all that its Spark writes is put.
        arguments: Its arguments.
        settings: More settings for `spark-defaults.conf`, with `__` in place of the dots.
    """
    environment = {**os.environ, **spark_environment.configured(folder, **settings)}
    python = str(spark_environment.python())
    environment["PYSPARK_PYTHON"] = python
    command = [python, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=_END_S, check=False)
