"""The daemon: its ticks, its start and end, and the troubles it tells."""
