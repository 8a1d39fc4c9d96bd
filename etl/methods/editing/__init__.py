"""Editing (审核与修正): rules as data, outliers, unit errors, localisation, correction, selective editing. Pure functions."""
