"""A small but complete release, made by hand: every dataset; published, withheld, missing, zero cells."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import product
from pathlib import Path

import polars as pl

from warehouse.catalogue import TOTAL, load_datasets, load_indicators
from warehouse.read import Release, open_release
from warehouse.release import CELL_COLUMNS, ReleaseContent, ReleaseInfo, publish

VINTAGE = "2026-03-31"
CORE = ("core_leaf_year", "core_leaf_size", "core_branch_district", "core_branch_size")
CORE_INDICATORS = ("ai_enterprises", "ai_revenue", "operating_revenue", "employed_persons", "rd_staff")
YEARS = ("2023", "2024", "2025")
MONTHS = ("2024-08", "2025-03", "2025-11")

AI = [
    ("A", None, "人工智能硬件", "AI hardware"), ("A1", "A", "芯片与板卡", "Chips and boards"),
    ("A11", "A1", "人工智能芯片设计", "AI chip design"), ("A12", "A1", "芯片制造与封测", "AI chip making"),
    ("B", None, "人工智能软件", "AI software"), ("B2", "B", "模型与算法", "Models and algorithms"),
    ("B21", "B2", "基础大模型", "Foundation models"), ("C", None, "系统应用", "System applications"),
    ("D", None, "集成服务", "Integration services"), ("E", None, "其他核心", "Other core"),
    ("R", None, "相关产业", "Related industry"),
]  # fmt: skip
FLAT = {
    "size_2017": [
        ("L", "大型", "Large"),
        ("M", "中型", "Medium"),
        ("S", "小型", "Small"),
        ("W", "微型", "Micro"),
    ],
    "district_sz": [
        ("440303", "罗湖区", "Luohu"),
        ("440305", "南山区", "Nanshan"),
        ("SZ-SSHZQ", "深汕", "Shenshan"),
    ],
    "filing_type": [("DSA", "深度合成", "Deep synthesis"), ("REC", "推荐算法", "Recommendation")],
    "filing_role": [("P", "服务提供者", "Provider"), ("T", "=技术支持者", "Supporter")],
    "city": [("深圳市", "深圳市", "深圳市"), ("广州", "广州", "Guangzhou")],
    "revision_stage": [
        ("preliminary", "初步核算数", "preliminary account"),
        ("final", "最终核实数", "final verification"),
        ("census", "普查修订数", "census revision"),
        ("_Z", "不分阶段", "no stages"),
    ],
}


def code_frame() -> pl.DataFrame:
    """``meta_code`` with the five code lists of the sample."""
    rows = [("ai_industry_2026", c, p, len(c), zh, en) for c, p, zh, en in AI]
    rows += [(scheme, c, None, 1, zh, en) for scheme, codes in FLAT.items() for c, zh, en in codes]
    records = [
        {
            "scheme": s, "code": c, "parent": p, "level": n, "level_name": ("branch", "class", "leaf")[n - 1],
            "name_zh": zh, "name_en": en, "definition_zh": f"{zh}的定义", "includes": "", "excludes": "",
            "legal_basis": "条例第三条", "segment": "related" if c == "R" else "core",
            "sort": i, "status": "draft", "basis": "proposal",
        }
        for i, (s, c, p, n, zh, en) in enumerate(rows)
    ]  # fmt: skip
    return pl.DataFrame(records, infer_schema_length=None)


def stage(dataset_id: str, period: str) -> str:
    """The stage the sample's figures are at: 2023 is revised by a census, 2025 is preliminary."""
    return {"2023": "census", "2025": "preliminary"}.get(period, "final") if dataset_id in CORE else "_Z"


def cells(dataset_id: str, rows: Iterable[Mapping[str, object]]) -> pl.DataFrame:
    """Rows as a cube of the release's shape; what is not said is a plain published cell."""
    names = load_datasets()[dataset_id].dimension_ids
    plain = {
        "obs_status": "A", "conf_status": "F", "yoy_ratio": None, "yoy_note": "", "model_share": 0.0,
        "vintage": VINTAGE,
    }  # fmt: skip
    full = [{**plain, "revision_stage": stage(dataset_id, str(row["period"])), **row} for row in rows]
    schema = {**dict.fromkeys(names, pl.String()), **CELL_COLUMNS}
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in full], schema=schema)


WITHHELD = {"value": None, "conf_status": "C", "yoy_ratio": None, "yoy_note": "withheld", "model_share": None}
MISSING = {"value": None, "obs_status": "M", "yoy_ratio": None, "yoy_note": "missing", "model_share": None}


def _special(dataset_id: str, key: Sequence[str], period: str, indicator: str) -> dict[str, object]:
    """The cells that are not plain values."""
    place = (*key, period, indicator)
    if place == ("A12", "2025", "ai_revenue") or (
        dataset_id == "core_branch_district" and place[:2] == ("B", "440303")
    ):
        return dict(WITHHELD)
    if place == ("A11", "2025", "rd_staff") or place == ("B21", "S", "2024", "ai_enterprises"):
        return dict(MISSING)
    if key[0] == "E":
        return {"value": Decimal(0), "yoy_ratio": None, "yoy_note": "base_zero"}
    return {"value": Decimal("0.40"), "yoy_ratio": -0.00001} if place == ("B21", "2025", "ai_revenue") else {}


def core_cube(dataset_id: str) -> pl.DataFrame:
    """One protected cube: positive exact values growing by place, with the special cells in it."""
    ai = [TOTAL, *(c for c, *_ in AI if c != "R")]
    branches = [c for c in ai if len(c) == 1 or c == TOTAL]
    other = {
        "core_leaf_size": "size_2017",
        "core_branch_size": "size_2017",
        "core_branch_district": "district_sz",
    }
    axes = [ai if "leaf" in dataset_id else branches]
    if dataset_id in other:
        axes.append([TOTAL, *(c for c, *_ in FLAT[other[dataset_id]])])
    names = load_datasets()[dataset_id].dimension_ids
    shown = [i for i in CORE_INDICATORS if dataset_id in load_indicators()[i].datasets]
    rows = []
    for i, (*key, period, indicator) in enumerate(product(*axes, YEARS, shown)):
        money = indicator.endswith("revenue")
        value = Decimal(123_456_789_01 * (i + 7)) / 100 if money else Decimal(i + 3)
        growth = {"yoy_note": "base_missing"} if period == YEARS[0] else {"yoy_ratio": (i % 9 - 4) / 20}
        base = {
            "value": value,
            "obs_status": "E" if money else "A",
            "model_share": 0.25 if money else 0.0,
            **growth,
        }
        special = _special(dataset_id, key, period, indicator)
        rows.append(
            {
                **dict(zip(names, key, strict=True)),
                "period": period,
                "indicator": indicator,
                **base,
                **special,
            }
        )
    return cells(dataset_id, rows)


def public_cubes() -> dict[str, pl.DataFrame]:
    """The cubes of real public lists."""
    types = [TOTAL, "DSA", "REC"]
    districts = [TOTAL, "440303", "440305"]
    names = ("filings", "filings_cumulated", "filing_companies")
    months = [
        {
            "district": d,
            "filing_type": t,
            "period": p,
            "indicator": n,
            "value": Decimal(0 if d == "440303" else i),
        }
        for i, (d, t, p, n) in enumerate(product(districts, types, MONTHS, names), 1)
    ]
    roles = [
        {"filing_type": t, "role": r, "period": p, "indicator": n, "value": Decimal(i)}
        for i, (t, r, p, n) in enumerate(product(types, [TOTAL, "P", "T"], MONTHS, names[1:]), 1)
    ]
    listed = [
        {"city": c, "period": "2024", "indicator": n, "value": Decimal(i * 10)}
        for i, (c, n) in enumerate(product([TOTAL, "深圳市", "广州"], ("listed_companies", "listed_employees")), 1)
    ]
    frames = {"filings_district_month": months, "filings_type_role": roles, "listed_city": listed}
    return {name: cells(name, rows) for name, rows in frames.items()}


def sample_content(*, synthetic: bool = True) -> ReleaseContent:
    """Everything :func:`warehouse.release.publish` asks for."""
    return ReleaseContent(
        vintage=VINTAGE,
        status="simulated" if synthetic else "trial",
        is_synthetic=synthetic,
        cubes={**{name: core_cube(name) for name in CORE}, **public_cubes()},
        certificates={name: {"passed": True, "checks": ["hand made"]} for name in CORE},
        reference={
            "meta_code": code_frame(),
            "meta_source_run": pl.DataFrame(
                [
                    {
                        "source_id": "register", "title": "名录", "file": "register_2025-12.csv",
                        "ref_period": "2025-12",
                        "rows_in": 10, "rows_accepted": 9, "rows_quarantined": 1,
                        "status": "accepted", "message": "",
                    }
                ]
            ),
            "meta_quality": pl.DataFrame({"metric": ["response_rate"], "scope": ["all"], "value": [0.85]}),
        },
        pipeline_version="0.1.0",
    )  # fmt: skip


def official_content(**columns: str) -> ReleaseContent:
    """The sample as an official release whose code lists are all adopted and official, but for ``columns``."""
    content = sample_content(synthetic=False)
    sound = {"basis": "official", "status": "in_force", **columns}
    codes = content.reference["meta_code"].with_columns(**{k: pl.lit(v) for k, v in sound.items()})
    reference = {**content.reference, "meta_code": codes}
    return replace(content, status="official", reference=reference, correspondences=("ai_2026__gbt4754_2017",))


def with_cube(content: ReleaseContent, dataset_id: str, frame: pl.DataFrame) -> ReleaseContent:
    """The same content with one cube replaced."""
    return replace(content, cubes={**content.cubes, dataset_id: frame})


def publish_sample(home: Path, *, synthetic: bool = True) -> ReleaseInfo:
    """Publish the sample into a home."""
    return publish(home, sample_content(synthetic=synthetic))


def sample_release(home: Path, *, synthetic: bool = True) -> Release:
    """Publish the sample into a home and open it."""
    return open_release(home, publish_sample(home, synthetic=synthetic).release_id)
