"""JSON-stat 2.0: one dataset, dense values, a status for every cell that is not a plain value."""

import json
from itertools import product

from warehouse.catalogue import TOTAL
from warehouse.export.registry import exporter
from warehouse.export.tidy import Extract, Record
from warehouse.export.words import exact, kind_text, pick, stored_unit

CONFIDENTIAL, MISSING, NOT_APPLICABLE = "c", "m", "n"
GEOGRAPHIC = frozenset({"district_sz", "city"})
STATUS_WORDS = {
    "c": ("保密", "confidential"), "m": ("暂缺", "not available"), "n": ("无该项", "not applicable"),
    "e": ("估计值", "estimated"), "p": ("初步数", "provisional"), "r": ("修订数", "revised"),
}  # fmt: skip


def _status(record: Record | None) -> str | None:
    """The status letter of a cell, or None for a plain value."""
    if record is None:
        return NOT_APPLICABLE
    if record.conf_status == "C":
        return CONFIDENTIAL
    if record.value is None:
        return MISSING
    return None if record.obs_status == "A" else record.obs_status.lower()


def _axes(data: Extract) -> dict[str, list[str]]:
    """Members of every dimension that occur, in official order; period and indicator last."""
    cube = data.cube
    axes = {}
    for n, name in enumerate(data.dataset.dimension_ids):
        present = {r.codes[n] for r in data.records}
        axes[name] = [code for code in cube.labels[name] if code in present]
    axes["period"] = list(cube.periods)
    present = {r.indicator.id for r in data.records}
    axes["indicator"] = [i.id for i in cube.indicators if i.id in present]
    return axes


def _dimensions(data: Extract, axes: dict[str, list[str]]) -> dict[str, object]:
    lang = data.lang
    found: dict[str, object] = {}
    for dimension in data.dataset.dimensions:
        codes = axes[dimension.id]
        category = {"index": codes, "label": {c: data.cube.label(dimension.id, c) for c in codes}}
        found[dimension.id] = {
            "label": pick(lang, dimension.name_zh, dimension.name_en),
            "category": category,
        }
    notes = {p: [data.cube.stages.get(s, s)] for p, s in data.cube.period_stages().items()}
    periods = {"index": axes["period"], "label": {p: p for p in axes["period"]}, **({"note": notes} if notes else {})}
    found["period"] = {"label": pick(lang, "时期", "Period"), "category": periods}
    cards = [i for i in data.cube.indicators if i.id in axes["indicator"]]
    indicators = {
        "index": axes["indicator"],
        "label": {i.id: pick(lang, i.name_zh, i.name_en) for i in cards},
        "unit": {
            i.id: {"label": stored_unit(i, lang), "decimals": 2 if i.unit in ("CNY", "PCT", "RATIO") else 0}
            for i in cards
        },
        "note": {i.id: [pick(lang, i.definition_zh, i.definition_en)] for i in cards},
    }
    found["indicator"] = {"label": pick(lang, "指标", "Indicator"), "category": indicators}
    return found


def _body(data: Extract, axes: dict[str, list[str]], cells: list[Record | None]) -> dict[str, object]:
    statuses = {str(n): s for n, cell in enumerate(cells) if (s := _status(cell)) is not None}
    geo = [d.id for d in data.dataset.dimensions if d.scheme in GEOGRAPHIC]
    roles = {"time": ["period"], "metric": ["indicator"], **({"geo": geo} if geo else {})}
    growth = {str(n): c.yoy_ratio for n, c in enumerate(cells) if c is not None and c.yoy_ratio is not None}
    english = data.lang == "en"
    return {
        "version": "2.0",
        "class": "dataset",
        "label": data.title,
        "source": data.source,
        "updated": data.cube.vintage,
        "note": list(data.notes),
        "id": list(axes),
        "size": [len(members) for members in axes.values()],
        "role": roles,
        "dimension": _dimensions(data, axes),
        "status": statuses,
        "extension": {
            "data_kind": kind_text(data.kind, data.lang),
            "is_synthetic": data.kind == "simulated",
            "release_id": data.cube.release_id,
            "vintage": data.cube.vintage,
            "release_status": data.cube.status,
            "legal_basis": data.dataset.legal_basis,
            "total_code": TOTAL,
            "status_label": {k: v[english] for k, v in STATUS_WORDS.items()},
            "yoy_ratio": growth,
            "revision_stage": data.cube.period_stages(),
            "revision_stage_label": dict(data.cube.stages),
        },
    }


@exporter(
    "json-stat",
    media_type="application/json",
    extension="json",
    name_zh="JSON-stat 2.0",
    name_en="JSON-stat 2.0",
)
def write_json_stat(data: Extract) -> bytes:
    """Values in row-major order of ``id``; exact digits, null where ``status`` is c, m or n."""
    axes = _axes(data)
    found = {(*r.codes, r.period, r.indicator.id): r for r in data.records}
    cells = [found.get(place) for place in product(*axes.values())]
    head = json.dumps(_body(data, axes, cells), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    values = ",".join("null" if c is None or c.value is None else exact(c.value) for c in cells)
    return f'{head[:-1]},"value":[{values}]}}'.encode()
