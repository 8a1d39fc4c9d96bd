"""Storage, metadata, the read API, releases and exports."""
