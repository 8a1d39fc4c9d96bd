"""Weights: design, non-response, calibration, winsorisation."""
