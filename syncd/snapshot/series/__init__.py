"""What a series' images say together."""
