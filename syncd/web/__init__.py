"""Health, metrics and the status as JSON, served by the process that does the work (docs/operation.md, Health)."""
