"""Threads that take claims, and whose fault a failed attempt was."""
