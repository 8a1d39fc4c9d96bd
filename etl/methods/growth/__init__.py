"""Growth: rates by the Chinese conventions, what a change is made of, contributions. Imports nothing of ours but methods."""

from etl.methods.growth.yoy import Growth, Reason, run_yoy, yoy, yoy_expr

__all__ = ["Growth", "Reason", "run_yoy", "yoy", "yoy_expr"]
