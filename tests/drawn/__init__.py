"""Whole archives drawn as files: what is said of them is true, or left out."""
