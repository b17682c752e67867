"""A standalone cluster of Spark: a master and workers as local processes, whose parts may be killed.

Example:
    with SparkCluster(folder) as cluster:
        driver = SparkJob(folder, ..., "--master", cluster.master)
        cluster.workers[0].kill()                    # with all that runs on it, like a machine that loses power
        cluster.workers[0].start()
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tests.services import spark_environment
from tests.services.kafka import free_ports
from tests.services.polling import eventually

_START_S = 90.0
_STOP_S = 20.0
_CORES = 2
_MEMORY = "1g"
_DAEMON_MEMORY = "256m"


class SparkProcess:
    """A master or a worker.

    Args:
        name: The name of its log.
        arguments: Its class and its arguments.
        folder: The folder of its log.
        environment: Its environment variables.
    """

    def __init__(self, name: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._log_file = folder / f"{name}.log"
        self._command = [str(_home() / "bin" / "spark-class"), *arguments]
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()

    @property
    def log(self) -> str:
        """All that it has written."""
        return self._log_file.read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Starts it; it may not serve yet."""
        with self._log_file.open("ab") as log:
            # In its own session, so that Ctrl-C in a terminal does not stop it before those that use it.
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=dict(self._environment), start_new_session=True
            )

    def kill(self) -> None:
        """Ends it and all that it has started, at once."""
        process = self._started()
        while victims := _session(process.pid):  # again, since one may have started another meanwhile
            for victim in victims:
                _kill(victim)
            process.wait(_STOP_S)
        self._process = None

    def descendants(self) -> list[psutil.Process]:
        """All processes that it has started and that still run."""
        return psutil.Process(self._started().pid).children(recursive=True)

    @property
    def runs(self) -> bool:
        """Whether it was started and not killed since."""
        return self._process is not None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("expected a running process of Spark, got a stopped one")
        return self._process


class SparkCluster:
    """A master and some workers.

    Args:
        folder: Where logs, and all that Spark writes, are put.
        workers: How many workers.
    """

    def __init__(self, folder: Path, workers: int = 2) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port, self._page = free_ports(2)
        self.master = f"spark://127.0.0.1:{port}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PRIVACYPLEASE_")}
        environment = {
            **kept,
            **spark_environment.configured(folder),
            "SPARK_HOME": str(_home()),
            "SPARK_DAEMON_MEMORY": _DAEMON_MEMORY,
            "SPARK_DAEMON_JAVA_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        }
        at = ["--host", "127.0.0.1"]
        command = ["org.apache.spark.deploy.master.Master", *at, "--port", str(port), "--webui-port", str(self._page)]
        self._master = SparkProcess("master", command, folder, environment)
        command = ["org.apache.spark.deploy.worker.Worker", *at, "--webui-port", "0", "--memory", _MEMORY]
        command += ["--cores", str(_CORES)]
        self.workers = [
            SparkProcess(
                f"worker-{number}",
                [*command, "--work-dir", str(folder / f"work-{number}"), self.master],
                folder,
                environment,
            )
            for number in range(workers)
        ]
        self._running = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._running.enter_context(self._master)
            if not eventually(lambda: self._alive() == 0, _START_S):
                raise RuntimeError(f"Spark's master did not start:\n{self._master.log[-4000:]}")
            for worker in self.workers:
                self._running.enter_context(worker)
            if not eventually(lambda: self._alive() == len(self.workers), _START_S):
                raise RuntimeError(f"Spark's workers did not start:\n{self.workers[0].log[-4000:]}")
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def executors(self) -> list[psutil.Process]:
        """The executors that run now."""
        return [each for each in self._descendants() if "CoarseGrainedExecutorBackend" in _command(each)]

    def python_workers(self) -> list[psutil.Process]:
        """The Python processes that run tasks now, without the daemons that have forked them."""
        return [each for each in self._descendants() if _is_forked(each)]

    def _descendants(self) -> list[psutil.Process]:
        running = [worker for worker in self.workers if worker.runs]
        return [each for worker in running for each in worker.descendants()]

    def _alive(self) -> int | None:
        """How many workers the master knows to be alive; None while it does not respond."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._page}/json/", timeout=5) as response:
                alive: int = json.load(response)["aliveworkers"]
        except OSError:
            return None
        return alive


def python_workers(driver: int) -> list[psutil.Process]:
    """The Python processes that run tasks of a local Spark.

    Args:
        driver: The pid of the driver.
    """
    return [each for each in psutil.Process(driver).children(recursive=True) if _is_forked(each)]


def _home() -> Path:
    libraries = spark_environment.python().parents[1] / "lib"
    return next(libraries.glob("python*/site-packages/pyspark"))


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _is_forked(process: psutil.Process) -> bool:
    try:
        parent = process.parent()
    except psutil.Error:
        return False
    return "pyspark.daemon" in _command(process) and parent is not None and "pyspark.daemon" in _command(parent)


def _session(leader: int) -> list[psutil.Process]:
    """The processes of a session that still run, whoever is their parent by now."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
