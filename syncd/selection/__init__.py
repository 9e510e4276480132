"""Which studies of an archive are published at all, and when old ones are: what the site's settings mean (pure)."""
