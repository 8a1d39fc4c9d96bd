"""Imputation (插补): ratio of means, nearest donor, carried values, and the variance they bring. Pure functions."""
