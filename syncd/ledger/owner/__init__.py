"""Whose ledger it is, how far a run has come, and what its operator sees."""
