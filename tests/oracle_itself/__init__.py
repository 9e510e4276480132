"""The oracle must be able to fail: tests of `tests.oracle` itself."""
