"""One module for each resource that is made of a snapshot."""
