"""Sources in, releases out: contracts, methods, assets (Dagster)."""
