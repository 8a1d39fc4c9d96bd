"""Dagster assets by GSBPM phase."""
