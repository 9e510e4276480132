"""Who syncd is to a server: passwords, tokens, and the authorization servers that give them (RFC 6749, SMART 2.2)."""
