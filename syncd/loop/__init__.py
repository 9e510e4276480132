"""The sentence, spoken: intake (feed → ledger), reconcile (ledger → … → ledger), inventory, and the daemon around them."""
