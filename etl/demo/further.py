"""Write the files of the further sources: everything besides the register and the four annual returns."""

from collections.abc import Callable

import polars as pl

from etl.demo import administrative, adoption, events, quarterly, social
from etl.demo.adoption import AdoptionFrame
from etl.demo.city import City, makers
from etl.demo.truth import truth_compute, truth_nonresponse, truth_quarters
from etl.demo.writer import DemoWriter

MODULES = (administrative, adoption, events, quarterly, social)
"""Imported for the makers they register."""


def write_further(
    writer: DemoWriter, city: City, say: Callable[[str], None], skip: frozenset[str] = frozenset()
) -> None:
    """Write every further source but those of ``skip``."""
    before = sum(writer.rows.values())
    for maker in makers(skip):
        for file in maker(city):
            writer.write(file)
    say(f"其他来源 / further sources: {sum(writer.rows.values()) - before:,} rows")


def truth_further(city: City, frame: AdoptionFrame) -> dict[str, pl.DataFrame]:
    """Truth tables by name: quarters, computing capacity, AI use, non-response, continuations, effects of the experiments."""
    effects = pl.DataFrame([{"outcome": k, "effect": v} for k, v in social.EFFECT.items()])
    return {
        "links": events.truth_links(city), "experiment_effects": effects, "quarters": truth_quarters(city),
        "compute": truth_compute(city), "adoption": frame.truth(), "nonresponse": truth_nonresponse(city, frame),
    }  # fmt: skip
