"""Estimates with their variance, domains, bands, below-threshold part, value added, additive cells."""
