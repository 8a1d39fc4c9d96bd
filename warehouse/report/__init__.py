"""Drafts made of released facts only: every number in a document is a fact of one release, and a guard checks it."""
