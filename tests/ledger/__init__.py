"""The ledger: one contract suite for every backend, and what only SQLite files can suffer."""
