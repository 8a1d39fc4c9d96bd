"""Automatic coding of enterprises to the AI catalogue."""
