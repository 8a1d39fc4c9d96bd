"""Disclosure control of linked tables (统计保密): build, protect, audit."""

from etl.methods.disclosure.linked import Certificate, Pattern, audit, build_table, protect
from etl.methods.disclosure.loading import Loaded
from etl.methods.disclosure.sensitivity import RuleSet, is_safe
from etl.methods.disclosure.separate import separable

__all__ = ["Certificate", "Loaded", "Pattern", "RuleSet", "audit", "build_table", "is_safe", "protect", "separable"]
