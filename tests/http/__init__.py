"""What both clients do alike."""
