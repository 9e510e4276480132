"""What is kept of whole servers: feed positions, and how far an inventory of either side has come."""
