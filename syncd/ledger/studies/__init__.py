"""What is kept of each study: marks, claims, records, what is parked, taken back or owed."""
