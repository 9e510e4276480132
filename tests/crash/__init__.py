"""kill -9 at any point: what is left must be enough to go on from (docs/architecture.md)."""
