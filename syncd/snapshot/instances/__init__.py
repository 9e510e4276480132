"""What single instances tell: their class, and what key objects point at or reject."""
