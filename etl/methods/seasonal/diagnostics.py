"""What X-13 says about an adjustment: model, M statistics, QS, sliding spans, revisions; and what to be careful about."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Thresholds: Lothian and Morry (1978) for M and Q; Findley et al. (1990, 1998) for sliding spans; QS at 1 %.
M_LIMIT = 1.0
QS_LEVEL = 0.01
SPAN_LIMITS = {"seasonal_factors": 25.0, "seasonally_adjusted": 25.0, "month_to_month": 40.0, "year_to_year": 10.0}
SPAN_KEYS = {"seasonal_factors": "s2.a.per", "month_to_month": "s2.d.per", "year_to_year": "s2.e.per"}
# Sums have no factors to compare in per cent: the program compares the adjusted values.
ADDITIVE_SPAN_KEYS = {**SPAN_KEYS, "seasonally_adjusted": "s2.c.per"}
REVISION = "r01.lag00.aar.all"
NOT_COMPUTED = -999.0
# Not coefficients of the model, though written like them; almostoutlier: candidates that were not taken.
OTHER_GROUPS = ("lbq", "bpq", "acf", "sigacf", "sigpacf", "ftest", "chi", "almostoutlier")
QS_KEYS = {
    "original": "qsori",
    "original_extremes_adjusted": "qsorievadj",
    "residuals": "qsrsd",
    "seasonally_adjusted": "qssadj",
    "seasonally_adjusted_extremes_adjusted": "qssadjevadj",
    "irregular": "qsirr",
    "irregular_extremes_adjusted": "qsirrevadj",
}


@dataclass(frozen=True)
class Coefficient:
    """An estimate with its standard error; ``group`` as X-13 names it (User-defined, Trading Day, AutoOutlier, MA …)."""

    group: str
    name: str
    estimate: float
    standard_error: float
    t: float


@dataclass(frozen=True)
class Diagnostics:
    """``m`` by name (m1 … m11); ``qs`` by series: statistic and p-value; ``sliding_spans``: per cent of unstable months.

    Missing where X-13 did not compute it (M8 to M11 of a short series, spans of one under five years).
    Of an additive adjustment the spans compare adjusted values (``seasonally_adjusted``) in place of factors.
    ``revision``: mean absolute revision of the adjusted series from the first figure to the last, per cent (or units,
    additive). ``identifiable``: X-13's own verdict whether there is seasonality to take out.
    """

    version: str
    transform: str
    mode: str
    model: str
    coefficients: tuple[Coefficient, ...]
    aicc: float | None
    aic: float | None
    bic: float | None
    m: Mapping[str, float]
    q: float | None
    q2: float | None
    qs: Mapping[str, tuple[float, float]]
    sliding_spans: Mapping[str, float]
    revision: float | None
    identifiable: bool | None
    seasonal_filter: str | None
    trend_filter: str | None
    cautions: tuple[str, ...] = field(default=())


def summary(lines: Mapping[str, str]) -> Diagnostics:
    """Read the diagnostics file of X-13 (``key: value``)."""
    m = {f"m{k}": v for k in range(1, 12) if (v := number(lines.get(f"f3.m{k:02d}"))) is not None}
    qs = {name: pair for name, key in QS_KEYS.items() if (pair := _pair(lines.get(key))) is not None}
    keys = SPAN_KEYS if "s2.a.per" in lines else ADDITIVE_SPAN_KEYS
    spans = {name: _floats(lines[key])[2] for name, key in keys.items() if len(_floats(lines.get(key, ""))) == 3}
    q, q2 = number(lines.get("f3.q")), number(lines.get("f3.qm2"))
    identifiable = {"yes": True, "no": False}.get(lines.get("f2.idseasonal", ""))
    chosen = lines.get("aictrans", lines.get("transform", ""))
    return Diagnostics(
        version=f"{lines.get('version', '?')} build {lines.get('build', '?')}",
        transform="log" if chosen.lower().startswith("log") else "none",
        mode=lines.get("finmode", lines.get("samode", "?").split(" ")[0]),
        model=lines.get("arimamdl", ""),
        coefficients=coefficients(lines),
        aicc=number(lines.get("aicc")),
        aic=number(lines.get("aic")),
        bic=number(lines.get("bic")),
        m=m,
        q=q,
        q2=q2,
        qs=qs,
        sliding_spans=spans,
        revision=number(lines.get(REVISION)),
        identifiable=identifiable,
        seasonal_filter=lines.get("sfmsr"),
        trend_filter=lines.get("finaltrendma"),
        cautions=tuple(_cautions(m, q, qs, spans, identifiable)),
    )


def coefficients(lines: Mapping[str, str]) -> tuple[Coefficient, ...]:
    """Regression and ARMA coefficients: keys ``group$name`` with three numbers."""
    found = []
    for key, value in lines.items():
        numbers = _floats(value)
        group, dollar, name = key.partition("$")
        if dollar and len(numbers) == 3 and not key.startswith(OTHER_GROUPS):
            found.append(Coefficient(group, name.replace("$", " "), *numbers))
    return tuple(found)


def _cautions(
    m: Mapping[str, float],
    q: float | None,
    qs: Mapping[str, tuple[float, float]],
    spans: Mapping[str, float],
    identifiable: bool | None,
) -> list[str]:
    said = [f"{name.upper()} = {value:.2f} > 1" for name, value in m.items() if value > M_LIMIT]
    if q is not None and q > M_LIMIT:
        said.append(f"Q = {q:.2f} > 1: the adjustment is not acceptable by the M statistics")
    for name in ("seasonally_adjusted", "irregular", "residuals"):
        if name in qs and qs[name][1] < QS_LEVEL:
            said.append(f"QS of {name} = {qs[name][0]:.2f} (p = {qs[name][1]:.4f}): seasonality is left in it")
    said += [
        f"sliding spans: {value:.1f} % of {name} unstable, above {SPAN_LIMITS[name]:g} %"
        for name, value in spans.items()
        if value > SPAN_LIMITS[name]
    ]
    if identifiable is False:
        said.append("no identifiable seasonality: publish the series unadjusted")
    return said


def _floats(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split()]
    except ValueError:
        return []


def number(text: str | None) -> float | None:
    """The first number of a line of the diagnostics file; None where there is none or the program's sign for that."""
    found = _floats(text or "")
    return found[0] if found and found[0] != NOT_COMPUTED else None


def _pair(text: str | None) -> tuple[float, float] | None:
    found = _floats(text or "")
    return (found[0], found[1]) if len(found) == 2 else None
