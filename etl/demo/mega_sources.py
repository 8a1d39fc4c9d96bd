"""The mega city's sources that concern the whole register: change files and the adoption survey, without holding its units."""

from contextlib import ExitStack
from typing import Final

import polars as pl

from etl.contract import load_contract
from etl.demo.adoption import SOURCE, AdoptionFrame
from etl.demo.events import births, changes, night_file, nights
from etl.demo.scenario import Scenario, stream
from etl.demo.writer import DemoWriter

GROUP: Final = 20
"""Blocks whose changes are written together; part of what the files look like."""


class FrameWide:
    """Takes the register block by block; change files grow on disk, the survey keeps what it may draw."""

    SOURCES: Final = frozenset({"register_delta", SOURCE})

    def __init__(self, writer: DemoWriter, scenario: Scenario, units: int) -> None:
        self._writer = writer
        first = int(scenario["begins"][SOURCE])
        self.adoption = AdoptionFrame(scenario, writer.seed, [y for y in scenario.years if y >= first])
        self._born = births(writer.seed, units)
        self._pending: list[pl.DataFrame] = []
        self._turns = dict.fromkeys(nights(), 0)
        self._stack = ExitStack()
        folder = writer.inbox / "register_delta"
        folder.mkdir(parents=True, exist_ok=True)
        pattern = load_contract("register_delta").file
        names = {n: pattern.name(n[:4], month=int(n[5:7]), day=int(n[8:])) for n in self._turns}
        self._out = {n: self._stack.enter_context((folder / name).open("wb")) for n, name in names.items()}

    def add(self, units: pl.DataFrame, rows: pl.DataFrame, block: int) -> None:
        """One block: its units, and its rows on the register."""
        seed = self._writer.seed
        self.adoption.add(units, stream(seed, f"mega adoption {block}"))
        self._born = self._born.filter(~pl.col("uscc").is_in(rows["uscc"].implode()))
        self._pending.append(changes(stream(seed, f"mega delta {block}"), rows))
        if (block + 1) % GROUP == 0:
            self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        rows = pl.concat(self._pending)
        self._pending = []
        for night, out in self._out.items():
            part = rows.filter(pl.col("night") == night).drop("night").sort("uscc")
            file = night_file(night, part.select("change", pl.exclude("change")))
            out.write(self._writer.encoded(file, self._turns[night]))
            self._turns[night] += 1

    def close(self) -> None:
        """Write what is left, the births, and the survey."""
        self._pending.append(self._born)
        self._flush()
        self._stack.close()
        for file in self.adoption.files():
            self._writer.write(file)
