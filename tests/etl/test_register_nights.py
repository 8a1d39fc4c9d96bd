"""Nights on a small register, some cut off: what follows the changes is what a night that does everything anew makes."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from etl.assets.collect import receipt_table, table_name
from etl.assets.process import CODE_UNIT
from etl.assets.register import APPLIED, REGISTER_CURRENT, update_register
from etl.coding import code_register
from etl.collect import schema
from etl.contract import load_contract
from etl.filing_text import filing_texts
from etl.register_profile import MARK, register_profile
from etl.text_hashes import TEXT_HASH, refresh_hashes
from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.gold import with_text_hashes
from warehouse.write import WorkStore

NIGHTS = 14
SCOPES = ["工业机器人的研发、生产", "餐饮服务；食品销售", "大模型应用开发", None]
STEPS = ("change_rows", "write_keyed", "rename", "saw", "write", "derive")
"""What a night does to the store: it may be cut off before or after any of them."""


class Cut(RuntimeError):
    """The process was killed."""


@dataclass
class City:
    """What has been received so far."""

    rng: np.random.Generator
    extract: list[dict[str, str]] = field(default_factory=list)
    delta: list[dict[str, str]] = field(default_factory=list)
    locks: dict[str, str] = field(default_factory=dict)
    filings: list[tuple[str, str]] = field(default_factory=list)
    month: int = 1
    day: int = 0

    def unit(self, number: int) -> dict[str, str | None]:
        scope = SCOPES[int(self.rng.integers(len(SCOPES)))]
        district = f"4403{self.rng.integers(3, 9):02d}"
        return {"uscc": f"9144{number:014d}", "name": f"第{number}号公司{self.rng.integers(2)}", "business_scope": scope,
                "main_products": None, "gbt_code": "6513", "registered_district": district}  # fmt: skip

    def night(self) -> None:
        """What a night brings: changes, seldom a new extract, a change taken back, locks, filings, or nothing."""
        what = self.rng.choice(["delta", "delta", "delta", "extract", "taken back", "lock", "filing", "nothing"])
        self.day += 1
        if what == "extract" or not self.extract:
            self.month, self.delta = self.month + 1, []
            self.extract = [self.unit(n) for n in range(40) if self.rng.random() < 0.9]  # type: ignore[misc]
        elif what == "delta":
            for n in self.rng.choice(45, size=int(self.rng.integers(1, 6)), replace=False):
                row = {
                    **self.unit(int(n)),
                    "change": str(self.rng.integers(1, 4)),
                    "ref_period": (date(2030, 1, 1) + timedelta(self.day)).isoformat(),
                }
                self.delta.append(row)  # type: ignore[arg-type]
        elif what == "taken back" and self.delta:
            del self.delta[int(self.rng.integers(len(self.delta)))]
        elif what == "lock":
            unit = str(self.rng.choice(self.extract)["uscc"])  # type: ignore[index]
            if self.locks.pop(unit, None) is None:
                self.locks[unit] = str(self.rng.choice(["B22", "none"]))
        elif what == "filing":
            self.filings.append((f"第{self.rng.integers(40)}号公司0", "大模型"))

    def receive(self, work: WorkStore) -> None:
        """Put it where the collect assets do."""
        for source, rows in (("register", self.extract), ("register_delta", self.delta)):
            types = schema(load_contract(source))
            full = [{**dict.fromkeys(types), **row} for row in rows]
            frame = pl.DataFrame(full, schema=dict.fromkeys(types, pl.String), orient="row")
            frame = frame.with_columns(pl.col("closing_date").str.to_date()).cast(types)  # type: ignore[arg-type]
            work.write(table_name(source), frame.sort(frame.columns[:1]))
        receipts = {"ref_period": [f"2026-{self.month % 12 + 1:02d}"], "status": ["accepted"], "sha256": [str(self.month)], "delivery": ["d"]}  # fmt: skip
        work.write(receipt_table("register"), pl.DataFrame(receipts))

    def process(self, work: WorkStore, bundle: Bundle, *, full: bool = False) -> dict[str, object]:
        """The register's part of a night; what it made."""
        update_register(work, full=full)
        filings = pl.DataFrame(
            [(c, w, w, str(i)) for i, (c, w) in enumerate(self.filings)],
            schema={"company": pl.String, "product": pl.String, "purpose": pl.String, "filing_no": pl.String}, orient="row",
        )  # fmt: skip
        known = work.read(REGISTER_CURRENT, ["uscc", "name", "business_scope", "main_products"]).rename(
            {"uscc": "unit_id"}
        )
        hashes = with_text_hashes(known).select("unit_id", "text_hash")
        locks = pl.DataFrame({"unit_id": list(self.locks), "code": list(self.locks.values())}, schema={"unit_id": pl.String, "code": pl.String})  # fmt: skip
        code_register(
            work, REGISTER_CURRENT, CODE_UNIT, bundle, full=full, locks=locks.join(hashes, on="unit_id"),
            filings=filing_texts(filings),
        )  # fmt: skip
        profile = register_profile(work, 2048, full=full)
        refresh_hashes(work, full=full)
        tables = {t: work.read(t) for t in (REGISTER_CURRENT, CODE_UNIT, MARK, TEXT_HASH)}
        return {"profile": profile.as_dict(), **tables}


def cut_at(monkeypatch: pytest.MonkeyPatch, place: int, after: bool) -> None:
    """Let the ``place``-th step of the store raise, before or after it was done."""
    count = [0]

    def wrap(name: str) -> None:
        plain = getattr(WorkStore, name)

        def step(*args: object, **options: object) -> object:
            count[0] += 1
            mine = count[0] == place
            if mine and not after:
                raise Cut(name)
            done = plain(*args, **options)
            if mine:
                raise Cut(name)
            return done

        monkeypatch.setattr(WorkStore, name, step)

    for name in STEPS:
        wrap(name)


@pytest.mark.parametrize("seed", range(2))
def test_what_follows_is_what_a_full_night_makes(seed: int, tmp_path: Path, bundle: Bundle) -> None:
    city = City(np.random.default_rng(seed))
    work, followed = WorkStore(tmp_path / "night"), 0
    with work.held():
        for night in range(NIGHTS):
            city.night()
            city.receive(work)
            if city.rng.random() < 0.4:
                with pytest.MonkeyPatch.context() as patch:
                    cut_at(patch, int(city.rng.integers(1, 12)), bool(city.rng.integers(2)))
                    try:
                        city.process(work, bundle)
                    except Cut:
                        city.night()  # the next night brings something else as well
                        city.receive(work)
            before = work.version(REGISTER_CURRENT)
            made = city.process(work, bundle)
            followed += work.changed_since(REGISTER_CURRENT, before) is not None and work.exists(APPLIED)
            anew = WorkStore(tmp_path / f"full{night}")
            city.receive(anew)
            expected = city.process(anew, bundle, full=True)
            for name, value in expected.items():
                own = made[name]
                same = own.equals(value) if isinstance(own, pl.DataFrame) else own == value
                assert same, f"night {night}: {name}"
    assert followed > NIGHTS / 3, "most nights must follow the changes, or this test shows nothing"
