"""Random requests to every page, export and endpoint there is: what comes back holds released cells and nothing withheld.

Two questions of each answer. *Nothing hidden*: no number in it is a withheld cell's value, in yuan or in any unit the city
publishes in, with at least six figures that no released number shares. *Nothing else*: every value of an exported cell is
that of the cell of the same key in the release, and a withheld one has none.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote
from zipfile import ZipFile

import numpy as np
import polars as pl
from flask.testing import FlaskClient
from numpy.typing import NDArray

from dashboard.registry import PAGES
from warehouse.access import may
from warehouse.read import Release, open_current
from warehouse.write import WorkStore

FACTORS = (1.0, 1e-3, 1e-4, 1e-6, 1e-8)
"""Yuan, thousand, ten thousand, million and hundred million: the units in which money is shown; counts are in ones."""
FIGURES = 6
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
PROTECTED = (
    "disseminate_core__cell_protected",
    "disseminate_domain__cell_protected",
    "disseminate_sources__cell_protected",
)
HIDDEN = ("primary", "secondary")
FORMATS = ("csv", "xlsx", "json-stat", "parquet")


def significant(value: float) -> int:
    """Figures of a number without leading and trailing zeros."""
    return len(f"{abs(value):.10g}".replace(".", "").replace("e", "").strip("0"))


@dataclass(frozen=True)
class Secrets:
    """Withheld values in all units, sorted, without those that a released cell has too."""

    values: NDArray[np.float64]

    @classmethod
    def of(cls, home: Path, release: Release) -> "Secrets":
        """From the restricted tables of the work store; SystemExit if nothing is withheld (nothing could be proved)."""
        work, hidden, shown = WorkStore(home), set(), set()
        for table in PROTECTED:
            cells = work.read(table, ["value", "status"]).with_columns(pl.col("value").cast(pl.Float64))
            hidden |= set(cells.filter(pl.col("status").is_in(HIDDEN))["value"].drop_nulls())
            shown |= set(cells.filter(~pl.col("status").is_in(HIDDEN))["value"].drop_nulls())
        for dataset in release.datasets():
            shown |= set(release.cube_frame(dataset.id)["value"].cast(pl.Float64).drop_nulls())
        known = np.sort(np.array([v * f for v in shown for f in FACTORS]))
        secret = [v * f for v in hidden - shown for f in FACTORS if significant(v * f) >= FIGURES]
        rest = np.sort(np.array([v for v in secret if not _near(v, known)]))
        if rest.size == 0:
            raise SystemExit("no withheld value with six figures of its own: nothing could be proved here")
        return cls(rest)

    def found_in(self, body: bytes) -> list[float]:
        """Withheld values among the numbers of a text."""
        numbers = np.array([float(n) for n in set(NUMBER.findall(body))])
        if numbers.size == 0:
            return []
        place = np.searchsorted(self.values, numbers)
        near = [np.abs(self.values[np.clip(place + d, 0, self.values.size - 1)] - numbers) for d in (-1, 0)]
        hit = np.minimum(*near) <= 1e-9 * np.abs(numbers)
        return [float(n) for n in numbers[hit] if significant(float(n)) >= FIGURES]


def _near(value: float, known: NDArray[np.float64]) -> bool:
    at = int(np.searchsorted(known, value))
    return any(abs(known[i] - value) <= 1e-9 * abs(value) for i in (at - 1, at) if 0 <= i < known.size)


@dataclass
class Outcome:
    """Requests by kind and status, and what was wrong with any."""

    requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    cells: int = 0
    wrong: list[str] = field(default_factory=list)


class Asker:
    """Draws requests and judges the answers. ``clients``: role → a client that is logged in as one."""

    def __init__(self, home: Path, clients: Mapping[str, FlaskClient], seed: int) -> None:
        self.release, self.clients = open_current(home), clients
        self.secrets, self.random = Secrets.of(home, self.release), np.random.default_rng(seed)
        self.outcome = Outcome()
        self._params: dict[str, dict[str, set[str]]] = {}

    def _pick(self, among: Any) -> Any:
        items = list(among)
        return items[int(self.random.integers(len(items)))]

    @cached_property
    def _released(self) -> Mapping[str, Mapping[tuple[str, ...], str | None]]:
        """Dataset → key (dimensions, period, indicator) → value as text; None where withheld or missing."""
        found = {}
        for dataset in self.release.datasets():
            frame = self.release.cube_frame(dataset.id)
            key = [*dataset.dimension_ids, "period", "indicator"]
            rows = frame.select(*key, pl.col("value").cast(pl.String)).iter_rows()
            found[dataset.id] = {tuple(map(str, row[:-1])): row[-1] for row in rows}
        return found

    # --- requests ----------------------------------------------------------------------------------------------------

    def ask(self) -> None:
        """One request of a random kind, role and language."""
        kind = self._pick(
            ("page",) * 6 + ("selection",) * 6 + ("dataset",) * 2 + ("api",) * 2 + ("forged",) * 3 + ("book",)
        )
        role = self._pick(self.clients)
        body, status, label = getattr(self, f"_{kind}")(self.clients[role], role)
        self.outcome.requests[kind] += 1
        self.outcome.statuses[status] += 1
        leaked = self.secrets.found_in(body)
        if leaked or status >= 500:
            self.outcome.wrong.append(f"{kind} {label}: status {status}, {len(leaked)} withheld values")

    def _draw(self, client: FlaskClient, path: str, search: str) -> tuple[bytes, int]:
        body = {
            "output": "page.children", "outputs": {"id": "page", "property": "children"},
            "inputs": [{"id": "url", "property": "pathname", "value": path}, {"id": "url", "property": "search", "value": search}],
            "changedPropIds": ["url.pathname"],
        }  # fmt: skip
        answer = client.post("/_dash-update-component", json=body)
        return answer.get_data(), answer.status_code

    def _page(self, client: FlaskClient, role: str) -> tuple[bytes, int, str]:
        """A page with random choices of the controls that it was seen to offer."""
        from warehouse.access import User

        page = self._pick(p for p in PAGES if may(User(role, role), p.permission))
        offered = self._params.setdefault(page.path, {})
        chosen = {name: self._pick(sorted(values)) for name, values in offered.items() if self.random.random() < 0.7}
        search = "&".join(["lang=" + self._pick(("zh", "en")), *(f"{k}={quote(v)}" for k, v in sorted(chosen.items()))])
        body, status = self._draw(client, page.path, f"?{search}")
        if status == 200:
            for name, options in _controls(json.loads(body), page.path):
                if options:
                    offered.setdefault(name, set()).update(options)
        return body, status, f"{page.path}?{search}"

    def _selection(self, client: FlaskClient, _: str) -> tuple[bytes, int, str]:
        """An export of a random selection: indicators, codes, periods."""
        dataset = self._pick(self.release.datasets())
        frame = self.release.cube_frame(dataset.id)
        pairs = [("dataset", dataset.id)]
        if self.random.random() < 0.6:
            pairs.append(("indicators", str(self._pick(frame["indicator"].unique().sort()))))
        for name in dataset.dimension_ids:
            if self.random.random() < 0.5:
                codes = frame[name].unique().sort().to_list()
                some = {str(self._pick(codes)) for _ in range(int(self.random.integers(1, 5)))}
                pairs.append((f"f.{name}", ",".join(sorted(some))))
        periods = self.release.periods(dataset.id)
        pairs.append(("periods", self._pick(("all", "latest:1", "latest:3", f"from:{self._pick(periods)}"))))
        query = "&".join(f"{k}={v}" for k, v in pairs)
        return self._exported(client, dataset.id, f"/export/selection.{self._pick(FORMATS)}?{query}")

    def _dataset(self, client: FlaskClient, _: str) -> tuple[bytes, int, str]:
        dataset = self._pick(self.release.datasets())
        period = f"?period={self._pick(self.release.periods(dataset.id))}" if self.random.random() < 0.7 else ""
        return self._exported(client, dataset.id, f"/export/{dataset.id}.{self._pick(FORMATS)}{period}")

    def _api(self, client: FlaskClient, _: str) -> tuple[bytes, int, str]:
        dataset = self._pick(self.release.datasets())
        period = self._pick(self.release.periods(dataset.id))
        url = f"/api/v1/datasets/{dataset.id}?format={self._pick(FORMATS)}&period={period}"
        return (
            self._exported(client, dataset.id, url)
            if self.random.random() < 0.9
            else self._got(client, "/api/v1/datasets")
        )

    def _book(self, client: FlaskClient, _: str) -> tuple[bytes, int, str]:
        year = self._pick(self.release.periods("core_leaf_year"))
        kind = self._pick(("export/yearbook/{}.xlsx", "draft/art67/{}.docx"))
        return self._got(client, "/" + kind.format(year) + f"?lang={self._pick(('zh', 'en'))}")

    def _forged(self, client: FlaskClient, _: str) -> tuple[bytes, int, str]:
        """Names that do not exist, restricted tables, paths, other callbacks' outputs, broken selections."""
        strange = self._pick(("disseminate_core__cell_protected", "../work", "%2e%2e/work.duckdb", "_T,_T", "'; DROP TABLE x; --", "core_leaf_year%00"))  # fmt: skip
        urls = (
            f"/api/v1/datasets/{strange}?format=csv", f"/export/{strange}.csv", f"/export/selection.csv?dataset={strange}",
            f"/export/selection.parquet?dataset=core_leaf_size&f.size={strange}", f"/export/core_leaf_year.csv?period={strange}",
            "/export/selection.csv?dataset=core_leaf_year&status=primary", "/export/yearbook/1999.xlsx", "/draft/art67/3000.docx",
        )  # fmt: skip
        if self.random.random() < 0.7:
            return self._got(client, self._pick(urls))
        path = self._pick((*[p.path for p in PAGES], "/desk", "/../admin", "/_dash-layout"))
        body, status = self._draw(client, path, f"?year={strange}&ind={strange}&period=9999&lang=xx")
        return body, status, path

    # --- answers -----------------------------------------------------------------------------------------------------

    def _got(self, client: FlaskClient, url: str) -> tuple[bytes, int, str]:
        answer = client.get(url)
        return b" ".join(_texts(answer.get_data())), answer.status_code, url

    def _exported(self, client: FlaskClient, dataset: str, url: str) -> tuple[bytes, int, str]:
        answer = client.get(url)
        content = answer.get_data()
        if answer.status_code == 200:
            key = [*self.release.dataset(dataset).dimension_ids, "period", "indicator"]
            for cell, value in _cells(content, url, key):
                self.outcome.cells += 1
                released = self._released[dataset].get(cell, "no such cell")
                if (released is None) != (value is None) or (
                    value is not None and float(value) != float(str(released))
                ):
                    self.outcome.wrong.append(f"{url}: cell {'/'.join(cell)} is not what is released")
        return b" ".join(_texts(content)), answer.status_code, url


def _controls(node: Any, path: str) -> Iterator[tuple[str, list[str]]]:
    """Names and options of the drop-downs and links to the same page in what a callback sent."""
    if isinstance(node, list):
        for part in node:
            yield from _controls(part, path)
    elif isinstance(node, dict):
        name = node.get("id")
        if isinstance(name, dict) and name.get("type") == "param":
            yield str(name["name"]), [str(o["value"]) for o in node.get("options") or ()]
        href = node.get("href")
        if isinstance(href, str) and href.startswith(f"{path}?"):
            yield from ((k, [v]) for k, v in parse_qsl(href.partition("?")[2]) if k != "lang")
        for part in node.values():
            yield from _controls(part, path)


def _texts(content: bytes) -> Iterator[bytes]:
    """The text of an answer: parts of a zipped document, columns of a Parquet file, else as it is."""
    if content[:2] == b"PK":
        with ZipFile(io.BytesIO(content)) as archive:
            yield from (archive.read(name) for name in archive.namelist() if name.endswith(".xml"))
    elif content[:4] == b"PAR1":
        yield pl.read_parquet(io.BytesIO(content)).write_csv().encode()
    else:
        yield content


def _cells(content: bytes, url: str, key: list[str]) -> Iterator[tuple[tuple[str, ...], str | None]]:
    """Cells of a csv or Parquet export with their keys; the other formats are read for hidden numbers alone."""
    if content[:4] == b"PAR1":
        frame = pl.read_parquet(io.BytesIO(content))
        for row in frame.select(*key, pl.col("value").cast(pl.String)).iter_rows():
            yield tuple(map(str, row[:-1])), row[-1]
    elif ".csv" in url or "format=csv" in url:
        rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
        if rows.fieldnames and set(key) <= set(rows.fieldnames) and "value" in rows.fieldnames:
            for line in rows:
                yield tuple(line[k] for k in key), line["value"] or None
