"""A scheme for other systems: a table (CSV), an SDMX-ML codelist, SKOS/XKOS in Turtle. Equal input, equal bytes."""

from collections.abc import Callable, Mapping
from typing import Final

from taxonomy.export.sdmx import codelist_xml
from taxonomy.export.table import codes_csv
from taxonomy.export.xkos import scheme_turtle
from taxonomy.scheme import Scheme

FORMATS: Final[Mapping[str, Callable[[Scheme], str]]] = {
    "csv": codes_csv,
    "sdmx": codelist_xml,
    "xkos": scheme_turtle,
}
