"""Faults kept on purpose: each breaks one rule, and each must make a test of the quick suites fail (`make mutants`)."""
