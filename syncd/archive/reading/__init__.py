"""A whole study read consistently in few calls, and what is done about files that cannot be read."""
