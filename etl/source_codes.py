"""Code lists of the dimensions of source indicators: classifications, listed codes, and codes found in the rows."""

from collections.abc import Iterable, Mapping
from functools import cache

import polars as pl

from etl.dissemination import hierarchies
from etl.source_plan import Cluster
from etl.source_rows import Received
from warehouse.catalogue import Dimension, MetadataError, load_yaml

Names = tuple[str, str, str]
CLASSIFICATIONS = {"district_sz": "district", "size_2017": "size"}


@cache
def listed() -> Mapping[str, tuple[Names, ...]]:
    """Scheme → (code, Chinese, English) from ``warehouse/metadata/codelists.yaml``."""
    found = {}
    for scheme, codes in load_yaml("codelists").items():
        if not isinstance(codes, dict):
            raise MetadataError(f"codelists.yaml: {scheme}: a mapping code: [Chinese, English] was expected")
        found[scheme] = tuple((str(code), str(zh), str(en)) for code, (zh, en) in codes.items())
    return found


def _in_rows(received: Received, cluster: Cluster, dimension: Dimension) -> list[str]:
    """Codes a dimension takes from the rows, sorted; a comma in them would break a selection."""
    columns = {p.spec.dims[dimension.id].column if dimension.id in p.spec.dims else dimension.id for p in cluster.plans}
    found = pl.concat([received.rows[c].cast(pl.String) for c in sorted(columns)]).drop_nulls().unique().sort()
    return found.str.replace_all(",", "，").to_list()


def dimension_codes(received: Received, cluster: Cluster) -> dict[str, tuple[Names, ...]]:
    """Dimension → its codes with names; classifications come without names (the release has them already)."""
    found: dict[str, tuple[Names, ...]] = {}
    for name, dimension in cluster.dimensions.items():
        if dimension.scheme in CLASSIFICATIONS:
            codes = hierarchies()[CLASSIFICATIONS[dimension.scheme]]
            found[name] = tuple((code, "", "") for code in codes)
        elif dimension.scheme in listed():
            found[name] = listed()[dimension.scheme]
        else:
            found[name] = tuple((code, code, code) for code in _in_rows(received, cluster, dimension))
    return found


def code_rows(cluster: Cluster, codes: Mapping[str, Iterable[Names]]) -> list[dict[str, object]]:
    """Rows ``scheme, code, name_zh, name_en, sort`` of the code lists a release must bring for these cubes."""
    return [
        {"scheme": dimension.scheme, "code": code, "name_zh": zh, "name_en": en, "sort": sort}
        for name, dimension in cluster.dimensions.items()
        if dimension.scheme not in CLASSIFICATIONS
        for sort, (code, zh, en) in enumerate(codes[name])
    ]
