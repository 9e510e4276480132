"""What follows an archive: its change feed, its first import and its inventories; they mark studies."""
