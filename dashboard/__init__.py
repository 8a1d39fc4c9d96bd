"""The Dash app: reads released cells, formats and draws."""
