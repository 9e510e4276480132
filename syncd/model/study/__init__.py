"""The nouns of a study: as the archive tells it, and what is found out of its images."""
