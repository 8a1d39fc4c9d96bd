"""A synthetic city with known truth."""
