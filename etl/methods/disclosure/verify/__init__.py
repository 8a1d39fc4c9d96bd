"""Independent audit of suppression patterns: nothing here is used by, or uses, the search for patterns."""
