"""The small run of the tests of the service."""

from tests.service.conftest import run

__all__ = ["run"]
