"""The process that makes the load: `python -m loadtests.drive WORLD RECORDS --steps 8,16,32 --step-seconds 20`.

Gevent must replace sockets and threads before anything else is imported, so this process does nothing else.
"""

from gevent import monkey

monkey.patch_all()

from grpc.experimental import gevent as grpc_gevent  # type: ignore[attr-defined]  # noqa: E402  # not in its stubs

grpc_gevent.init_gevent()

import argparse  # noqa: E402
import json  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import TextIO  # noqa: E402

import grpc  # noqa: E402
from locust import LoadTestShape  # noqa: E402
from locust.env import Environment  # noqa: E402

from loadtests.users import Analyst, Dashboard, GrpcUser, Guard, Ingest, sessions  # noqa: E402
from loadtests.world import World  # noqa: E402


class StepLoad(LoadTestShape):
    """Another number of users after each step."""

    def __init__(self, steps: list[int], step_seconds: float) -> None:
        super().__init__()
        self._steps = steps
        self._step_seconds = step_seconds

    def tick(self) -> tuple[int, float] | None:
        """How many users there should be now, and how many may come a second; None at the end."""
        step = int(self.get_run_time() // self._step_seconds)
        return (self._steps[step], float(self._steps[step])) if step < len(self._steps) else None


def main() -> None:
    """Runs all steps and writes a line for each call: seconds since the start, user, name, ms, bytes, code."""
    parser = argparse.ArgumentParser(description="Makes the load.")
    parser.add_argument("world", type=Path)
    parser.add_argument("records", type=Path)
    parser.add_argument("--steps", required=True, type=lambda text: [int(users) for users in text.split(",")])
    parser.add_argument("--step-seconds", required=True, type=float)
    flags = parser.parse_args()
    GrpcUser.world = World.read(flags.world)
    # Arrow looks for pandas when it first makes an array. Later, that would make every user stand still for seconds.
    sessions(GrpcUser.world, rows=1)
    shape = StepLoad(flags.steps, flags.step_seconds)
    environment = Environment(user_classes=[Guard, Dashboard, Analyst, Ingest], shape_class=shape)
    runner = environment.create_local_runner()
    with flags.records.open("w") as records:
        environment.events.request.add_listener(_Records(records).told)
        runner.start_shape()
        assert runner.shape_greenlet is not None
        runner.shape_greenlet.join()
        runner.quit()
        runner.greenlet.join()


class _Records:
    """Writes down when the test began, and a line for each call."""

    def __init__(self, lines: TextIO) -> None:
        self._lines = lines
        self._began = time.time()
        lines.write(json.dumps({"began": self._began}) + "\n")

    def told(
        self,
        request_type: str,
        name: str,
        response_time: float,
        response_length: int,
        exception: Exception | None,
        **_: object,
    ) -> None:
        """Takes what Locust is told of a call."""
        row = time.time() - self._began, request_type, name, response_time, response_length, _code(exception)
        self._lines.write(json.dumps(row) + "\n")


def _code(exception: Exception | None) -> str:
    if exception is None:
        return "OK"
    return str(exception.code().name) if isinstance(exception, grpc.Call) else type(exception).__name__


if __name__ == "__main__":
    main()
