"""Pure statistical methods; import nothing of ours."""
