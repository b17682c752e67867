"""The load generator: `python -m loadtests.load_generator TARGET CALLS --steps 8,16,32 --step-seconds 20`.

It is a process of its own because gevent must patch sockets and threads before anything else is imported.
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

from loadtests.load_target import LoadTarget  # noqa: E402
from loadtests.users import Analyst, Dashboard, GrpcUser, IngestStream, SecurityGuard, sessions  # noqa: E402


class StepLoad(LoadTestShape):
    """Changes the number of users after each step."""

    def __init__(self, steps: list[int], step_seconds: float) -> None:
        super().__init__()
        self._steps = steps
        self._step_seconds = step_seconds

    def tick(self) -> tuple[int, float] | None:
        """How many users there should be now, and how many may start per second; None at the end."""
        step = int(self.get_run_time() // self._step_seconds)
        return (self._steps[step], float(self._steps[step])) if step < len(self._steps) else None


def main() -> None:
    """Runs all steps and writes a line for each call: seconds since the start, user, name, ms, bytes, code."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.load_generator", description="Generate the load.")
    parser.add_argument("target", type=Path, help="the load target, as JSON")
    parser.add_argument("calls", type=Path, help="the file to write a line for each call to")
    parser.add_argument(
        "--steps", required=True, type=lambda text: [int(users) for users in text.split(",")], help="numbers of users"
    )
    parser.add_argument("--step-seconds", required=True, type=float, help="how long each step lasts")
    flags = parser.parse_args()
    GrpcUser.target = LoadTarget.read(flags.target)
    # Arrow imports pandas when it first builds an array; during the test that would block every user for seconds.
    sessions(GrpcUser.target, rows=1)
    shape = StepLoad(flags.steps, flags.step_seconds)
    environment = Environment(user_classes=[SecurityGuard, Dashboard, Analyst, IngestStream], shape_class=shape)
    runner = environment.create_local_runner()
    with flags.calls.open("w") as lines:
        environment.events.request.add_listener(_CallWriter(lines).write)
        runner.start_shape()
        assert runner.shape_greenlet is not None, "start_shape has started it"
        runner.shape_greenlet.join()
        runner.quit()
        runner.greenlet.join()


class _CallWriter:
    """Writes when the test began, and then a line for each call."""

    def __init__(self, lines: TextIO) -> None:
        self._lines = lines
        self._began = time.time()
        lines.write(json.dumps({"began": self._began}) + "\n")

    def write(
        self,
        request_type: str,
        name: str,
        response_time: float,
        response_length: int,
        exception: Exception | None,
        **_: object,
    ) -> None:
        """Writes a call; a listener for Locust's request event."""
        row = time.time() - self._began, request_type, name, response_time, response_length, _code(exception)
        self._lines.write(json.dumps(row) + "\n")


def _code(exception: Exception | None) -> str:
    if exception is None:
        return "OK"
    return str(exception.code().name) if isinstance(exception, grpc.Call) else type(exception).__name__


if __name__ == "__main__":
    main()
