"""The servers of the fault tests are those of tests/real."""

from tests.real.conftest import archive, install, second_hapi, shared_archive

__all__ = ["archive", "install", "second_hapi", "shared_archive"]
