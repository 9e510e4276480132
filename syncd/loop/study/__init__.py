"""One study from claim to outcome: read, decided, published or taken back."""
