"""The review desk (复核台): a web process of its own, the only one that may open unit-level evidence."""
