"""Source contracts, one folder each."""
