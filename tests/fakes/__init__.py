"""In-memory twins of the two servers: state machines with one entry, `handle`, and the time given to them."""
