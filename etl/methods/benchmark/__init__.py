"""Benchmarking of a frequent indicator to less frequent totals."""
