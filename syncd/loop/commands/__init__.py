"""What a command does once: resync, audit, repair, explain, and looking ahead without writing."""
