"""Disclosure control of linked tables (统计保密): build, protect, audit."""

from etl.methods.disclosure.audit import Certificate, audit
from etl.methods.disclosure.primary import Rules
from etl.methods.disclosure.secondary import Pattern, protect
from etl.methods.disclosure.separate import separable
from etl.methods.disclosure.table import Table, build_table

__all__ = ["Certificate", "Pattern", "Rules", "Table", "audit", "build_table", "protect", "separable"]
