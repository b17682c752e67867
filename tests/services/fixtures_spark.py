"""A fixture with Spark's environment."""

from __future__ import annotations

import os

import pytest

from tests.services import spark_environment

__all__ = ["spark"]


@pytest.fixture(scope="session")
def spark() -> None:
    """Makes sure that Spark's environment is there; without it tests are skipped, and fail in CI."""
    try:
        spark_environment.python()
        spark_environment.connector()
    except spark_environment.SparkUnavailableError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
