"""Engines run the classifier's one batch function over many batches: here (``local``) or on Spark (``spark``).

An engine takes record batches in order and gives coded batches in the same order; what a row gets does not depend on it.
"""
