"""Drafts made of released facts only: every number is a fact of one release, and a guard checks the file."""
