"""Administrative sources of the demo city: compute, data, scenarios, applications, plan, carriers, testing, parks, talent."""

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import polars as pl

from etl.demo.city import LAST_QUARTER, City, DemoFile, choose, labels, makes, whole

DEPARTMENTS = [
    "政务服务数据部门",
    "交通运输部门",
    "卫生健康部门",
    "教育部门",
    "公安部门",
    "城管部门",
    "生态环境部门",
    "市场监管部门",
]
DOMAINS = ["交通", "医疗", "教育", "公共安全", "环境", "信用", "民生", "地理"]
RELATED = ["R1", "R2", "R3", "R4", "R5"]
PARKS = [
    "芯谷",
    "智园",
    "云港",
    "数湾",
    "机器人谷",
    "算力园",
    "创新港",
    "智造城",
    "感知园",
    "语芯园",
    "飞翔园",
    "联汇园",
]
PROGRAMMES = ["高层次人才", "青年拔尖人才", "产业工程师", "海外引才"]
SERVICES = ["1", "2", "3", "4", "5"]


def _district_shares(city: City) -> tuple[list[str], list[float]]:
    shares = city.scenario["district_shares"]
    return list(shares["codes"]), [float(x) for x in shares["A"]]


def _months(city: City) -> list[tuple[int, int]]:
    first = city.begins("compute_centres")
    last = LAST_QUARTER[0] * 12 + LAST_QUARTER[1] * 3
    return [(m // 12, m % 12 + 1) for m in range(first * 12, last)]


def _capacity(base: np.ndarray, growth: np.ndarray, opened: np.ndarray, at: int) -> np.ndarray:
    """PFLOPS of each centre in month ``at``, extended every half year after it opened."""
    age = at - np.maximum(opened, 0)
    return np.asarray(base * np.exp(growth * (age // 6 * 6)))


@makes("compute_centres")
def compute_centres(city: City) -> Iterator[DemoFile]:
    """Computing centres: capacity grows in steps, energy follows use; summer costs a little efficiency."""
    rng = city.rng("compute")
    n = max(round(24 * city.scale), 6)
    owners = city.alive(city.years[-1]).filter(pl.col("member"))["uscc"].to_numpy()
    codes, weights = _district_shares(city)
    fixed = pl.DataFrame({
        "centre_id": labels("SL", n), "uscc": rng.choice(owners, n), "district": choose(rng, codes, weights, n),
        "centre_type": choose(rng, ["1", "2", "3"], [0.5, 0.05, 0.45], n),
    })  # fmt: skip
    months = _months(city)
    opened = np.sort(rng.integers(-24, len(months) - 3, n))
    opened[: max(n // 3, 3)] = -1
    fixed = fixed.with_columns(centre_type=pl.Series(["1", *fixed["centre_type"][1:]]))
    base, growth = np.exp(rng.normal(4.3, 0.9, n)), rng.uniform(0.01, 0.035, n)
    then = months.index((2024, 12))
    counted = (fixed["centre_type"] == "1").to_numpy() & (opened <= then)
    base *= city.scenario["intelligent_pflops_2024"] * city.scale / _capacity(base, growth, opened, then)[counted].sum()
    pue, use, green = rng.uniform(1.12, 1.45, n), rng.uniform(45, 80, n), rng.uniform(0.1, 0.6, n)
    for at, (year, month) in enumerate(months):
        here = np.flatnonzero(opened <= at)
        age = at - np.maximum(opened[here], 0)
        capacity = np.round(_capacity(base, growth, opened, at)[here], 1)
        utilisation = np.clip(use[here] + rng.normal(0, 4, here.size) + 0.15 * age, 5, 98).round(1)
        efficiency = (
            (pue[here] + 0.03 * (month in (6, 7, 8, 9)) + rng.normal(0, 0.01, here.size)).clip(1.05, 2.5).round(2)
        )
        energy = np.rint(capacity * 1.1e4 * (0.35 + 0.65 * utilisation / 100) * efficiency)
        yield DemoFile(
            "compute_centres",
            fixed[here.tolist()].with_columns(
                capacity_pflops=pl.Series(capacity),
                available_pflops=pl.Series(np.floor(capacity * rng.uniform(0.9, 1.0, here.size) * 10) / 10),
                utilisation_pct=pl.Series(utilisation), pue=pl.Series(efficiency), energy_kwh=whole(energy),
                renewable_kwh=whole(np.floor(energy * green[here])),
                open_share_pct=pl.Series(rng.uniform(5, 60, here.size).round(1)),
            ), year, {"month": month},
        )  # fmt: skip


@makes("public_data")
def public_data(city: City) -> Iterator[DemoFile]:
    """Data sets catalogued and opened by department and domain, growing."""
    rng = city.rng("public data")
    pairs = [(d, DOMAINS[i]) for i, d in enumerate(DEPARTMENTS)] + [(DEPARTMENTS[0], d) for d in DOMAINS[1:5]]
    catalogued = rng.integers(40, 400, len(pairs)).astype(np.float64)
    share = rng.uniform(0.2, 0.6, len(pairs))
    for year, quarter in city.quarters():
        catalogued = catalogued * rng.uniform(1.0, 1.06, len(pairs))
        share = np.minimum(share * rng.uniform(1.0, 1.03, len(pairs)), 0.95)
        opened = np.floor(np.floor(catalogued) * share)
        yield DemoFile(
            "public_data",
            pl.DataFrame({
                "department": [p[0] for p in pairs], "domain": [p[1] for p in pairs],
                "datasets_catalogued": whole(np.floor(catalogued)), "datasets_opened": whole(opened),
                "datasets_unconditional": whole(np.floor(opened * 0.7)),
                "api_calls": whole(opened * rng.uniform(1e3, 4e4, len(pairs))),
                "datasets_deidentified": whole(np.floor(opened * 0.25)),
            }), year, {"quarter": quarter},
        )  # fmt: skip


@makes("scenarios")
def scenarios(city: City) -> Iterator[DemoFile]:
    """Two lists a year; later lists bring the state of the earlier scenarios up to date."""
    rng = city.rng("scenarios")
    batch_size = max(round(40 * city.scale), 5)
    rows: list[dict[str, object]] = []
    for year in range(city.begins("scenarios"), LAST_QUARTER[0] + 1):
        for number, month in ((1, 3), (2, 9)):
            published = date(year, month, 15)
            for i in range(batch_size):
                rows.append(_scenario(rng, f"CJ{year}{number}{i:03d}", f"{year}-{number}", published))
            known = [_as_of(row, date(year, month, 28)) for row in rows]
            yield DemoFile("scenarios", pl.DataFrame(known, infer_schema_length=None), year, {"month": month})


def _scenario(rng: np.random.Generator, identifier: str, batch: str, published: date) -> dict[str, object]:
    """The whole course of one scenario (days after publication; None where it never comes that far)."""
    days = np.cumsum(rng.integers(30, 150, 3))
    reached = int(rng.choice([0, 1, 2, 3], p=[0.2, 0.15, 0.15, 0.5]))
    matched, signed, live = ((published + timedelta(days=int(d))) if reached > k else None for k, d in enumerate(days))
    return {
        "scenario_id": identifier, "batch": batch, "domain": str(rng.choice(RELATED, p=[0.2, 0.3, 0.25, 0.2, 0.05])),
        "department": str(rng.choice(DEPARTMENTS)), "published_on": published, "matched_on": matched,
        "signed_on": signed, "live_on": live, "live_at_12_months": "1" if rng.random() < 0.7 else "2",
        "contract_cny": round(float(np.exp(rng.normal(5.2, 0.9)))) if reached > 1 else None,
    }  # fmt: skip


def _as_of(row: dict[str, object], day: date) -> dict[str, object]:
    """What a list of ``day`` can know of a scenario."""
    seen = dict(row)
    for name in ("matched_on", "signed_on", "live_on"):
        when = seen[name]
        seen[name] = when.isoformat() if isinstance(when, date) and when <= day else None
    live = row["live_on"]
    if not (isinstance(live, date) and live + timedelta(days=365) <= day):
        seen["live_at_12_months"] = None
    if seen["signed_on"] is None:
        seen["contract_cny"] = None
    seen["published_on"] = str(row["published_on"])
    return seen


@makes("applications")
def applications(city: City) -> Iterator[DemoFile]:
    """AI applications by risk tier: high risk assessed before use, the others disclosed and followed up."""
    rng = city.rng("applications")
    codes = city.alive(city.years[-1]).filter(pl.col("member"))["uscc"].to_numpy()
    total = max(round(900 * city.scale), 30)
    tier = rng.choice(["H", "M", "L"], total, p=[0.06, 0.24, 0.70])
    owner, domain = rng.choice(codes, total), rng.choice(RELATED, total, p=[0.15, 0.25, 0.15, 0.4, 0.05])
    quarters = [q for q in city.quarters() if q[0] >= city.begins("applications")]
    begin = rng.integers(0, len(quarters), total)
    begin[:20] = 0
    good = rng.random((3, total))
    for at, (year, quarter) in enumerate(quarters):
        here = np.flatnonzero(begin <= at)
        level = min(0.6 + 0.03 * at, 0.97)
        done = np.where(good[:, here] < level, "1", "2")
        high = tier[here] == "H"
        yield DemoFile(
            "applications",
            pl.DataFrame({
                "application_id": [f"YY{i:05d}" for i in here], "uscc": owner[here], "risk_tier": tier[here],
                "domain": domain[here], "assessed_before": np.where(high, done[0], "3"),
                "disclosed_before": np.where(high, "3", done[1]), "followed_up": np.where(high, "3", done[2]),
                "incidents": whole(rng.poisson(np.where(high, 0.03, 0.004))),
            }), year, {"quarter": quarter},
        )  # fmt: skip


@makes("plan_tasks")
def plan_tasks(city: City) -> Iterator[DemoFile]:
    """The targets and tasks of each year's plan with their progress by quarter."""
    targets = [("ai_enterprises", "家", 1.15), ("ai_revenue", "元", 1.18), ("employed_persons", "人", 1.08)]
    works = [
        "建设公共算力平台",
        "发布应用场景需求清单",
        "开放公共数据集",
        "引进人才",
        "开展社会实验",
        "完善伦理规范",
        "建设测试认证平台",
    ]
    for year in [y for y in [*city.years, LAST_QUARTER[0]] if y >= city.begins("plan_tasks")]:
        rng = city.rng(f"plan {year}")
        before = city.alive(year - 1).filter("member")
        base = {
            "ai_enterprises": before.height, "ai_revenue": int(before["ai_revenue"].sum()) * 1000,
            "employed_persons": int(before["employed_persons"].sum()),
        }  # fmt: skip
        pace = rng.uniform(0.75, 1.2, len(targets) + len(works))
        for quarter in range(1, (LAST_QUARTER[1] if year == LAST_QUARTER[0] else 4) + 1):
            rows = []
            for i in range(len(targets) + len(works)):
                is_target = i < len(targets)
                progress = min(float(round(25 * quarter * pace[i])), 100.0)
                rows.append({
                    "task_id": f"RW{year}{i + 1:02d}", "document_no": f"深工信〔{year}〕（模拟）1号", "clause": f"第{i + 1}项",
                    "task": f"{targets[i][0]} 目标" if is_target else works[i - len(targets)],
                    "kind": "T" if is_target else "W", "owner": DEPARTMENTS[i % len(DEPARTMENTS)],
                    "due_on": f"{year}-12-31", "indicator": targets[i][0] if is_target else None,
                    "target_value": round(base[targets[i][0]] * targets[i][2]) if is_target else None,
                    "target_unit": targets[i][1] if is_target else None, "progress_pct": progress,
                    "status": "3" if progress >= 100 else "4" if quarter == 4 else "2", "remark": None,
                })  # fmt: skip
            yield DemoFile("plan_tasks", pl.DataFrame(rows, infer_schema_length=None), year, {"quarter": quarter})


@makes("carriers", "testing_services", "parks", "talent_programmes")
def places_and_people(city: City) -> Iterator[DemoFile]:
    """Innovation carriers, testing bodies, parks and talent programmes, by year."""
    codes, weights = _district_shares(city)
    rng = city.rng("places")
    owners = city.alive(city.years[0]).filter(pl.col("member"))["uscc"].to_numpy()
    n, bodies, parks = max(round(120 * city.scale), 8), max(round(18 * city.scale), 3), max(round(12 * city.scale), 4)
    carriers = pl.DataFrame({
        "carrier_id": labels("ZT", n), "uscc": rng.choice(owners, n),
        "carrier_type": choose(rng, list("12345678"), [18, 4, 20, 6, 10, 26, 4, 12], n),
        "carrier_level": choose(rng, list("123"), [0.08, 0.3, 0.62], n), "district": choose(rng, codes, weights, n),
    })  # fmt: skip
    park = pl.DataFrame({
        "park_id": labels("YQ", parks), "park": [f"{PARKS[i % len(PARKS)]}（模拟）" for i in range(parks)],
        "district": choose(rng, codes, weights, parks), "land_sqm": whole(rng.uniform(3e4, 3e5, parks)),
        "floor_sqm": whole(rng.uniform(8e4, 9e5, parks)),
    })  # fmt: skip
    body = rng.choice(owners, bodies)
    fill = rng.uniform(0.4, 0.7, parks)
    for at, year in enumerate(city.years):
        staff = rng.poisson(35, n) + 5
        here = pl.Series(np.arange(n) < n * (0.55 + 0.45 * (at + 1) / len(city.years)))
        yield DemoFile(
            "carriers",
            carriers.with_columns(rnd_persons=whole(staff), rnd_cny=whole(staff * rng.uniform(300, 700, n))).filter(here),
            year, {},
        )  # fmt: skip
        pairs = [(b, s) for b in range(bodies) for s in SERVICES if (b + int(s)) % 3]
        reports = rng.poisson(40 + 12 * at, len(pairs))
        yield DemoFile(
            "testing_services",
            pl.DataFrame({
                "body_id": [f"JC{b + 1:03d}" for b, _ in pairs], "uscc": [body[b] for b, _ in pairs],
                "service": [s for _, s in pairs], "reports": whole(reports),
                "clients": whole(np.ceil(reports * rng.uniform(0.3, 0.8, len(pairs)))),
                "service_cny": whole(reports * rng.uniform(15, 60, len(pairs))),
            }), year, {},
        )  # fmt: skip
        used = np.minimum(fill + 0.06 * at, 0.97)
        tenants = whole(park["floor_sqm"].to_numpy() * used / 2600)
        yield DemoFile(
            "parks",
            park.with_columns(
                used_sqm=whole(np.floor(park["floor_sqm"].to_numpy() * used)), tenants=tenants,
                ai_tenants=whole(np.floor(tenants.to_numpy() * rng.uniform(0.3, 0.7, parks))),
            ), year, {},
        )  # fmt: skip
        grid = [(p, d) for p in PROGRAMMES for d in codes]
        admitted = rng.poisson(
            np.array([30 * w / 10 for _, w in [(p, weights[codes.index(d)]) for p, d in grid]]) + 0.3
        )
        yield DemoFile(
            "talent_programmes",
            pl.DataFrame({
                "programme": [p for p, _ in grid], "district": [d for _, d in grid],
                "admitted_persons": whole(admitted),
                "overseas_persons": whole(rng.binomial(admitted, [0.8 if p == "海外引才" else 0.15 for p, _ in grid])),
                "subsidy_cny": whole(admitted * rng.uniform(100, 400, len(grid))),
            }), year, {},
        )  # fmt: skip
