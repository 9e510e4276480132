"""What is sent after a study's write, kind by kind and to each receiver for itself."""
