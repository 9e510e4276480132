"""What implementation guides demand beyond the base standard."""
