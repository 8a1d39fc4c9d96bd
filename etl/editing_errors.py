"""Gross errors of returns (计量单位、千倍、数字颠倒): every value weighed by the unit's own periods, its form and other sources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.editing_plan import EditingPlan
from etl.edits import upper_limits
from etl.methods.editing.mixture import Verdict, WitnessErrors, error_mixture, robust_spread, transposed_digits
from etl.remember import remembered

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Witness = tuple[FloatArray, WitnessErrors | None]
"""Deviations from what a witness lets expect, and the errors it may carry itself."""
LEAST_OTHERS = 2
"""Other items of a form that must be known before they say how large the unit is, or how it grew."""
MOST_ITEMS = 2
"""Items of one form that may be wrong each for itself; more are a matter for a person."""
GROSS, SHARED = 1.0, 0.5
"""An item's deviation (log) that must be shared by the form to speak of the whole form, and the part that is shared."""
OUTCOME = {"at": pl.Int64, "name": pl.String, "value": pl.Float64, "rule": pl.String, "detail": pl.String}
"""Of one period: place among its returns; a corrected value, or a rule and detail, or a doubt's detail alone."""
FORM, ITEM, TRANSPOSED, UNKNOWN = "unit_error_form", "unit_error_item", "transposed_digits", "suspicious"


@dataclass(frozen=True)
class Panel:
    """All returns of a source. ``values``: by column, shape ``(N,)``, ``nan`` missing; ``step``: months of the period;

    ``at``: rows of the unit's returns so many months back (negative: ahead) and twice as many, shape ``(2, N)``, -1 where
    none; ``others``: what other sources say, by item.
    """

    values: Mapping[str, FloatArray]
    step: IntArray
    at: Mapping[int, IntArray]
    others: Mapping[str, Sequence[FloatArray]]


@dataclass
class Errors:
    """``values``: corrected; ``reasons``: (row, column) → rule and detail; ``doubts``: (row, column) → detail, not changed."""

    values: dict[str, FloatArray]
    reasons: dict[tuple[int, str], tuple[str, str]] = field(default_factory=dict)
    doubts: dict[tuple[int, str], str] = field(default_factory=dict)


def find_errors(panel: Panel, plan: EditingPlan) -> Errors:
    """Two passes in the order of the periods, each return against those before and after it, which may be wrong as well.

    The second pass begins with the returned values again, against neighbours as the first left them: those are then
    wrong only where an error was missed.
    """
    found = Errors({k: v.copy() for k, v in panel.values.items()})
    for trust in (1.0, plan.missed):
        found = Errors(found.values)
        for step in np.unique(panel.step):
            _Period(panel, plan, found, np.flatnonzero(panel.step == step), trust).edit()
    return found


def _log(values: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.abs(values))
    return np.where(np.isfinite(logs), logs, np.nan)


def _witness(near: FloatArray, far: FloatArray) -> FloatArray:
    """An item of a neighbouring period; where it was nothing then, or there was no return, that of the period behind."""
    return np.where(np.isfinite(near) & (near != 0), near, far)


def _median(values: FloatArray, axis: int, least: int = 1) -> FloatArray:
    """Median of what is known; ``nan`` where fewer than ``least`` values are."""
    known = np.isfinite(values).sum(axis=axis)
    ordered = np.sort(values, axis=axis)  # nan last
    places = [np.expand_dims(np.maximum(k, 0), axis) for k in ((known - 1) // 2, known // 2)]
    if values.shape[axis] == 0:
        return np.full(known.shape, np.nan)
    low, high = (
        np.take_along_axis(ordered, np.minimum(p, values.shape[axis] - 1), axis=axis).squeeze(axis) for p in places
    )
    return np.where(known >= least, (low + high) / 2, np.nan)


def _centred(values: FloatArray) -> FloatArray:
    middle = _median(values, 0)
    return values - np.where(np.isfinite(middle), middle, 0.0)


def _without(values: FloatArray, column: int) -> FloatArray:
    """Median over the other columns."""
    return _median(np.delete(values, column, axis=1), 1, LEAST_OTHERS)


def _backed(own: FloatArray, form: FloatArray) -> FloatArray:
    """The item's deviation from another source, where a gross one is shared by the form; else the form's.

    One wrong item leaves the form as it is; an unusual make-up of the form (little AI revenue) leaves the item.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        alone = (np.abs(own) > GROSS) & ~(form / own >= SHARED)
    return np.where(alone, form, own)


class _Period:
    """The returns of one period."""

    def __init__(self, panel: Panel, plan: EditingPlan, found: Errors, rows: IntArray, wrong: float) -> None:
        """``wrong``: probability of an error of a neighbouring return, as a part of that of an unedited one."""
        self.panel, self.plan, self.found, self.rows, self.wrong = panel, plan, found, rows, wrong
        self.neighbours = [
            {
                v: _witness(*(np.where(p >= 0, found.values[v][p], np.nan) for p in place[:, rows]))
                for v in plan.variables
            }
            for place in panel.at.values()
        ]
        self.now = {v: panel.values[v][rows].copy() for v in panel.values}
        self.form = tuple(v for v in plan.variables if v in plan.money)

    def edit(self) -> None:
        """Whole forms first, then single items; the result stands in ``found``."""
        for at, name, value, rule, detail in remembered("edit_period", self._inputs(), self._edited)[
            "rows"
        ].iter_rows():
            if value is not None:
                self.now[name][at] = value
            if rule is not None:
                self.found.reasons[int(self.rows[at]), name] = rule, detail
            elif detail is not None:
                self.found.doubts[int(self.rows[at]), name] = detail
        for name, values in self.now.items():
            self.found.values[name][self.rows] = values

    def _inputs(self) -> list[object]:
        """All that the period's result rests on: its returns, its neighbours as they stand, what other sources say."""
        heard = {v: [o[self.rows] for o in self.panel.others.get(v, ())] for v in self.plan.variables}
        return [self.plan.source_id, self.wrong, self.now, self.neighbours, heard]

    def _edited(self) -> dict[str, pl.DataFrame]:
        """:data:`OUTCOME`: what is changed, for which reason, and what is in doubt."""
        own = _Period(self.panel, self.plan, Errors(self.found.values), self.rows, self.wrong)
        if len(own.form) > 1:
            own._forms()
        own._items()
        place = {int(row): at for at, row in enumerate(own.rows)}
        rows: list[tuple[int, str, float | None, str | None, str | None]] = []
        for name, values in own.now.items():
            moved = np.flatnonzero(~((values == self.now[name]) | (np.isnan(values) & np.isnan(self.now[name]))))
            rows += [(int(at), name, float(values[at]), None, None) for at in moved]
        rows += [(place[row], name, None, rule, detail) for (row, name), (rule, detail) in own.found.reasons.items()]
        rows += [(place[row], name, None, None, detail) for (row, name), detail in own.found.doubts.items()]
        return {"rows": pl.DataFrame(rows, schema=OUTCOME, orient="row")}

    def _before(self, names: Sequence[str]) -> list[FloatArray]:
        """Log of the items over each neighbouring period, centred, shape ``(n, items)`` each."""
        now = np.column_stack([_log(self.now[v]) for v in names])
        return [_centred(now - np.column_stack([_log(near[v]) for v in names])) for near in self.neighbours]

    def _wrong(self, errors: Mapping[float, float], repeated: float = 0.0) -> tuple[WitnessErrors, WitnessErrors]:
        """The same errors in what a value is compared with: neighbouring returns, and other sources once edited."""
        shifts, priors = np.log(list(errors)), np.array(list(errors.values()))
        near = WitnessErrors(shifts, self.wrong * priors, repeated)
        return near, WitnessErrors(shifts, self.plan.missed * priors)

    def _failing(self, name: str, shifts: FloatArray) -> FloatArray | None:
        """Log likelihood of failing a soft edit that bounds an item from above, shape ``(n, 1 + c + 1)``; ``None`` if none does.

        By how many fail it in the period, given no error; certain given an error whose correction passes.
        """
        value, limit = self.now[name], np.full(self.rows.size, np.inf)
        for edit in upper_limits(self.plan.source_id).get(name, ()):
            others = {v: c for v, c in edit.coefficients.items() if v != name}
            if set(others) <= set(self.now):
                rest = np.sum([c * self.now[v] for v, c in others.items()], axis=0)
                limit = np.fmin(limit, (edit.upper - rest) / edit.coefficients[name])
        over = value > limit
        if not over.any():
            return None
        usual = np.log(over.sum() / np.isfinite(value).sum())
        passes = value[:, None] / np.exp(shifts) <= limit[:, None]
        known = np.zeros((value.size, shifts.shape[1] + 2))
        known[over, 0], known[over, -1] = usual, np.log(0.5)
        known[over, 1:-1] = np.where(passes[over], 0.0, usual)
        return known

    def _judge(
        self, witnesses: Sequence[Witness], shifts: FloatArray, priors: FloatArray, evidence: FloatArray | None = None
    ) -> Verdict:
        plan = self.plan
        spreads = [robust_spread(d, floor=plan.spread_floor, default=plan.spread_default) for d, _ in witnesses]
        deviations, wrong = np.column_stack([d for d, _ in witnesses]), [w for _, w in witnesses]
        enough = max(plan.doubt, 1 - plan.confidence)
        return error_mixture(
            deviations, np.array(spreads), shifts, priors, plan.other, wrong, enough=enough, evidence=evidence
        )

    def _factors(self, errors: Mapping[float, float]) -> tuple[FloatArray, FloatArray]:
        n = self.rows.size
        return np.tile(np.log(list(errors)), (n, 1)), np.tile(list(errors.values()), (n, 1))

    def _asked(self, names: Sequence[str], verdict: Verdict) -> FloatArray:
        """Posterior a change of a return needs, shape ``(n,)``: less where a published item makes a large part of the period's total,

        that is of those not in doubt and itself. An error left there spoils the figure, a change made in error is seen by the
        person who is asked.
        """
        asked, doubtful = np.full(self.rows.size, self.plan.confidence), verdict.clean < self.plan.doubt
        for name in names:
            size = np.abs(np.nan_to_num(self.now[name]))
            total = size[~doubtful].sum() + np.where(doubtful, size, 0.0)
            if name in self.plan.totals:
                asked[(size > 0) & (size >= self.plan.hold_share * total)] = self.plan.confidence_large
        return asked

    def _forms(self) -> None:
        """One factor on every amount of the form; medians over the items keep a single wrong one from deciding."""
        size = _median(_centred(np.column_stack([_log(self.now[v]) for v in self.form])), 1)
        near, far = self._wrong(self.plan.form_errors, self.plan.repeated)
        witnesses: list[Witness] = [(_median(d, 1), near) for d in self._before(self.form)]
        for name in self.form:
            own = _centred(_log(self.now[name])[:, None])[:, 0]
            for other in self.panel.others.get(name, ()):
                heard = _log(other[self.rows])
                witnesses.append((_backed(_centred(own - heard), _centred(size - heard)), far))
        verdict = self._judge(witnesses, *self._factors(self.plan.form_errors))
        factors = list(self.plan.form_errors)
        for i in np.flatnonzero(verdict.clean < self.plan.doubt):
            for name in self.plan.totals:
                if name in self.form and np.isfinite(self.now[name][i]):
                    self.found.doubts[int(self.rows[i]), name] = f"probability of no error {verdict.clean[i]:.3f}"
        for i, c in _decided(verdict, self._asked(self.form, verdict)):
            sure = verdict.candidates[i, c] >= self.plan.confidence
            for name in self.plan.money:
                if np.isfinite(self.now[name][i]) and self.now[name][i] != 0:
                    self.now[name][i] /= factors[c]
                    detail = f"factor {factors[c]:g}, probability {verdict.candidates[i, c]:.3f}"
                    self.found.reasons[int(self.rows[i]), name] = FORM, detail
                    if sure:
                        self.found.doubts.pop((int(self.rows[i]), name), None)

    def _items(self) -> None:
        names = self.plan.variables
        logs = _centred(np.column_stack([_log(self.now[v]) for v in names]))
        before = self._before(names)
        decided: list[tuple[int, str, float, str, str]] = []
        for j, name in enumerate(names):
            errors = self._item_errors(name)
            near, far = self._wrong(errors, self.plan.repeated if self.form == (name,) else 0.0)
            witnesses: list[Witness] = [(logs[:, j] - _without(logs, j), None)]
            for grown in before:
                common = _without(grown, j)
                witnesses.append((grown[:, j] - np.where(np.isfinite(common), common, 0.0), near))
            for other in self.panel.others.get(name, ()):
                witnesses.append((_centred(_log(self.now[name]) - _log(other[self.rows])), far))
            decided += self._item(name, errors, witnesses)
        count = np.bincount([d[0] for d in decided], minlength=self.rows.size)
        for i, name, value, rule, detail in decided:
            key = int(self.rows[i]), name
            if rule == UNKNOWN or count[i] > MOST_ITEMS:
                self.found.doubts[key] = detail
            else:
                old = self.found.reasons.get(key)
                self.now[name][i] = value
                self.found.reasons[key] = rule, f"{old[1]}; {detail}" if old else detail

    def _item_errors(self, name: str) -> dict[float, float]:
        """Factors an item may be off by, and their probabilities; those of the form where it is its only amount.

        Values too small are not looked for where small is common: persons, and amounts that pass through zero.
        """
        errors, plan = dict(self.plan.item_errors), self.plan
        if self.form == (name,):
            return {f: max(p, errors.get(f, 0.0)) for f, p in plan.form_errors.items()}
        is_large = name in plan.money and not plan.is_signed(name)
        return {f: p for f, p in errors.items() if f > 1 or is_large}

    def _item(
        self, name: str, errors: Mapping[float, float], witnesses: Sequence[Witness]
    ) -> list[tuple[int, str, float, str, str]]:
        """Decisions on one item: place, item, corrected value, rule, detail."""
        shifts, priors = self._factors(errors)
        value, unit = self.now[name], self.plan.step(name)
        if name not in self.plan.money:  # persons are whole
            left = value[:, None] / np.array(list(errors))
            priors = np.where(np.abs(left - np.rint(left)) < 1e-6, priors, 0.0)
        turned = transposed_digits(np.abs(value) / unit) * unit
        able = np.isfinite(turned)
        with np.errstate(divide="ignore", invalid="ignore"):
            turn_shift = np.where(able, np.log(np.abs(value)[:, None] / np.where(able, turned, 1.0)), 0.0)
        turn_prior = np.where(able, self.plan.transposed / np.maximum(able.sum(axis=1, keepdims=True), 1), 0.0)
        shifts, priors = np.column_stack([shifts, turn_shift]), np.column_stack([priors, turn_prior])
        verdict = self._judge(witnesses, shifts, priors, self._failing(name, shifts))
        factors, found = list(errors), []
        for i, c in _decided(verdict, self._asked([name], verdict)):
            chance = f"probability {verdict.candidates[i, c]:.3f}"
            if verdict.candidates[i, c] < self.plan.confidence:
                self.found.doubts[int(self.rows[i]), name] = f"probability of no error {verdict.clean[i]:.3f}"
            if c < len(factors):
                detail = f"factor {factors[c]:g}, {chance}"
                found.append((i, name, float(value[i] / factors[c]), ITEM, detail))
            else:
                right = float(np.copysign(turned[i, c - len(factors)], value[i]))
                found.append((i, name, right, TRANSPOSED, chance))
        kept = {i for i, *_ in found}
        for i in map(int, np.flatnonzero(verdict.clean < self.plan.doubt)):
            if i not in kept:
                found.append((i, name, float(value[i]), UNKNOWN, f"probability of no error {verdict.clean[i]:.3f}"))
        return found


def _decided(verdict: Verdict, confidence: FloatArray) -> list[tuple[int, int]]:
    """Places and candidates that are probable enough, shape ``(n,)``."""
    if not verdict.candidates.size:
        return []
    best = np.nan_to_num(verdict.candidates)
    return [(int(i), int(best[i].argmax())) for i in np.flatnonzero(best.max(axis=1) >= confidence)]
