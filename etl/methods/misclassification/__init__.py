"""Counts and totals corrected for misclassification (质量调整数): gold design, estimators, choice, intervals."""

from etl.methods.misclassification.change import Change, change
from etl.methods.misclassification.counts import adjusted_counts
from etl.methods.misclassification.gold import Gold, GoldDesign, allocate_gold, tally
from etl.methods.misclassification.moments import Moments, moments
from etl.methods.misclassification.result import Adjusted, Estimate
from etl.methods.misclassification.shift import ShiftTest, shift_test
from etl.methods.misclassification.totals import GoldSizes, adjusted_totals, tally_sizes

__all__ = [
    "Adjusted",
    "Change",
    "Estimate",
    "Gold",
    "GoldDesign",
    "GoldSizes",
    "Moments",
    "ShiftTest",
    "adjusted_counts",
    "adjusted_totals",
    "allocate_gold",
    "change",
    "moments",
    "shift_test",
    "tally",
    "tally_sizes",
]
