"""Files made of a release: one registry, one tidy form, one module per format, and the yearbook."""

from warehouse.export.registry import Exported, Exporter, ExportError, export, export_selection, exporters

__all__ = ["ExportError", "Exported", "Exporter", "export", "export_selection", "exporters"]
