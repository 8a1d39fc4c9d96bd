"""``make prove``: the classifier on real companies, GB/T divisions and NAICS; writes ``docs/quality/evidence/classifier.json``.

Needs the material beside the repository (its licence keeps the scope texts out of it). Seeds are fixed here. The real
companies were also used to choose the unit model's fields, so (a) is a development figure, not a blind one; the nested
figure beside it makes every choice inside the training folds (:mod:`tests.benchmarks.nested`).
"""

import csv
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.benchmarks.nested import nested  # noqa: E402
from tests.benchmarks.proof import write  # noqa: E402

SAMPLE = ROOT.parent / "shared" / "data" / "real_sample"
PROVES = (
    *(
        f"taxonomy/classifier/{n}.py"
        for n in ("decide", "kernel", "linear", "normalize", "scoring", "textmodel", "unit")
    ),
    "taxonomy/rules/decision.yaml",
    "taxonomy/phrases/*",
)
SEEDS = tuple(range(20221101, 20221111))
FOLDS = 10
NESTED = 3  # seeds of the nested figure: thirteen candidates are fitted in every inner fold
SHARE = 0.15
F64 = npt.NDArray[np.float64]


def rows_of(name: str) -> list[dict[str, str]]:
    with (SAMPLE / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def units(rows: list[dict[str, str]], *, products: bool) -> pl.DataFrame:
    """Name (P5 masked) and scope, products only where asked for, never a declared code."""
    return pl.DataFrame(
        {
            "unit_id": [str(i) for i in range(len(rows))],
            "name": [r["company"].replace("人工智能", "") if r["mask_company_name"] == "1" or r["stratum"][:2] == "P5" else r["company"] for r in rows],
            "business_scope": [r["business_scope"] for r in rows],
            "main_products": [r["main_products"] if products else None for r in rows],
        },
        schema={"unit_id": pl.String, "name": pl.String, "business_scope": pl.String, "main_products": pl.String},
    )  # fmt: skip


def decide(frame: pl.DataFrame, bundle: Any) -> pl.DataFrame:
    import pyarrow as pa

    from taxonomy.classifier.batch import code_batch

    batch = frame.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks().to_batches()[0]
    return pl.from_arrow(pa.Table.from_batches([code_batch(batch, bundle)]))  # type: ignore[return-value]


def unit_ratio(decided: pl.DataFrame) -> F64:
    """The unit model's log-likelihood ratio of each row, from its evidence."""
    parts = [json.loads(e)["contributions"] for e in decided["evidence"]]
    return np.array([sum(c["value"] for c in p if c["kind"] == "unit") for p in parts])


def interval(k: int, n: int) -> list[float]:
    """Exact 95 % interval of a share."""
    from scipy.stats import beta

    low = float(beta.ppf(0.025, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0
    return [round(low, 3), round(high, 3)]


def share(hit: npt.NDArray[np.bool_]) -> dict[str, Any]:
    return {"k": int(hit.sum()), "n": len(hit), "share": round(float(hit.mean()), 3), "ci95": interval(int(hit.sum()), len(hit))}  # fmt: skip


def baseline(text: list[str], y: npt.NDArray[np.int64], train: Any, test: Any) -> F64:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectors = TfidfVectorizer(analyzer="char", ngram_range=(2, 3))
    matrix = vectors.fit_transform([text[i] for i in train])
    model = LogisticRegression(max_iter=1000).fit(matrix, y[train])
    return np.asarray(model.decision_function(vectors.transform([text[i] for i in test])))


def real_companies() -> dict[str, Any]:
    """(a): P1, P2, P5 against N1-N4 on name and scope alone, ten folds, ten seeds."""
    from sklearn.metrics import average_precision_score
    from sklearn.model_selection import StratifiedKFold

    from taxonomy.classifier.bundle import build_bundle

    rows = [r for r in rows_of("labelled_dev.csv") if r["stratum"][:2] in ("P1", "P2", "P5", "N1", "N2", "N3", "N4")]
    y = np.array([int(r["is_ai"]) for r in rows])
    stratum = np.array([r["stratum"][:2] for r in rows])
    frame = units(rows, products=False)
    text = [f"{n} {s}" for n, s in frame.select("name", "business_scope").iter_rows()]
    labels = frame.with_columns(ai_class=pl.Series(["E" if v else "none" for v in y]))
    runs = []
    for seed in SEEDS:
        ours, theirs, order = np.zeros(len(y)), np.zeros(len(y)), np.zeros(len(y))
        coded, nominated = np.zeros(len(y), dtype=bool), np.zeros(len(y), dtype=bool)
        for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(text, y):
            decided = decide(frame[test], build_bundle(labels[train]))
            ours[test] = decided["p_ai"].to_numpy()
            nominated[test] = (decided["route"] == "review").to_numpy() | (decided["segment"] == "core").fill_null(
                False
            ).to_numpy()
            coded[test] = (decided["segment"] == "core").fill_null(False).to_numpy()
            order[test] = np.where(coded[test], np.inf, unit_ratio(decided))
            theirs[test] = baseline(text, y, train, test)
        k = int(SHARE * len(y))
        run: dict[str, Any] = {"seed": seed}
        # Nominated: coded AI, then in review, the likeliest by the unit model first.
        ranked = (("ours", ours, order), ("ours_by_p_ai", ours, ours), ("baseline", theirs, theirs))
        for name, score, rank in ranked:
            top = np.zeros(len(y), dtype=bool)
            top[np.argsort(-rank, kind="stable")[:k]] = True
            run[name] = {
                "average_precision": round(float(average_precision_score(y, score)), 4),
                "positives_nominated": share(top[y == 1]),
                "near_negatives_nominated": share(top[np.isin(stratum, ("N2", "N3"))]),
            }
        run["in_review_or_coded"] = {
            **share(nominated), "positives": share(nominated[y == 1]),
            "near_negatives": share(nominated[np.isin(stratum, ("N2", "N3"))]),
        }  # fmt: skip
        run["auto_coded_ai"] = share(y[coded] == 1) if coded.any() else {"k": 0, "n": 0}
        run["clear_negatives_auto_coded"] = share(coded[np.isin(stratum, ("N1", "N4"))])
        runs.append(run)
    mean: dict[str, Any] = {name: _over_seeds(runs, name) for name in ("ours", "ours_by_p_ai", "baseline")}
    for part in ("share", "positives", "near_negatives"):
        values = [r["in_review_or_coded"][part] for r in runs]
        mean[f"in_review_or_coded_{part}"] = _spread([v["share"] if isinstance(v, dict) else v for v in values])
    p = decide(frame, build_bundle())["p_ai"].to_numpy()
    inner = nested(frame.select("name", "business_scope"), np.log(p / (1.0 - p)), y, SEEDS[:NESTED], FOLDS, SHARE)
    return {
        "rows": len(y), "positives": int(y.sum()), "nominated_share": SHARE, "mean": mean, "nested": inner, "runs": runs,
    }  # fmt: skip


def _spread(values: list[float]) -> dict[str, float]:
    """Mean, standard deviation and lowest over seeds."""
    return {
        "mean": round(float(np.mean(values)), 4), "sd": round(float(np.std(values)), 4), "lowest": round(min(values), 4)
    }  # fmt: skip


def _over_seeds(runs: list[dict[str, Any]], name: str) -> dict[str, dict[str, float]]:
    """:func:`_spread` of each figure of an engine."""
    return {
        "average_precision": _spread([r[name]["average_precision"] for r in runs]),
        "positives_nominated": _spread([r[name]["positives_nominated"]["share"] for r in runs]),
        "near_negatives_nominated": _spread([r[name]["near_negatives_nominated"]["share"] for r in runs]),
    }


def filers() -> dict[str, Any]:
    """(b): filers as technical supplier (P3) and single filing (P4) against users (A1), products given."""
    from taxonomy.classifier.bundle import build_bundle
    from taxonomy.classifier.decide import nominated

    every = rows_of("labelled_dev.csv")
    known = [r for r in every if r["stratum"][:2] in ("P1", "P2", "P5", "N1", "N2", "N3", "N4")]
    labels = units(known, products=False).with_columns(
        ai_class=pl.Series(["E" if r["is_ai"] == "1" else "none" for r in known])
    )
    bundle = build_bundle(labels)
    found: dict[str, Any] = {}
    for name in ("P3", "P4", "A1"):
        rows = [r for r in every if r["stratum"].startswith(name) and r["main_products"]]
        decided = decide(units(rows, products=True), bundle)
        p = decided["p_ai"].to_numpy()
        found[name] = {
            "rows": len(rows), "median_p_ai": round(float(np.median(p)), 3),
            "in_review_or_coded": share(((decided["route"] == "review") | (decided["segment"] == "core").fill_null(False)).to_numpy()),
            "nominated": share(nominated(decided, bundle.parameters.none_below).to_numpy()),
            "coded_core": share((decided["segment"] == "core").fill_null(False).to_numpy()),
        }  # fmt: skip
    return found


def divisions() -> dict[str, Any]:
    """Chinese scope → GB/T division: five folds of the labelled rows, the standard's own texts beside them."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.model_selection import KFold
    from sklearn.svm import LinearSVC

    from taxonomy.classifier.textmodel import TextModel
    from taxonomy.classifier.unit import FIELDS, phrases_of_units
    from taxonomy.scheme import load_scheme

    rows = rows_of("cn_scope_to_gbt_division_dev.csv")
    codes = [c for c in load_scheme("gbt4754_2017").codes if c.code[0].isdigit()]
    frame = pl.DataFrame(
        {
            "name": [r["full_name"] for r in rows] + [c.name_zh for c in codes],
            "business_scope": [r["business_scope"] for r in rows] + [f"{c.name_zh}；{c.definition_zh}" for c in codes],
        }
    )
    label = np.array([r["gbt_division"] for r in rows] + [c.code[:2] for c in codes])
    phrases, n = phrases_of_units(frame), len(rows)
    right: dict[str, list[bool]] = {"ours": [], "baseline": []}
    for train, test in KFold(5, shuffle=True, random_state=SEEDS[0]).split(np.arange(n)):
        used = np.r_[train, np.arange(n, len(label))]
        place = pl.DataFrame({"row": used.astype(np.int64), "new": np.arange(len(used))})
        part = phrases.join(place, on="row", maintain_order="left").drop("row").rename({"new": "row"})
        weight = np.r_[np.ones(len(train)), np.full(len(codes), 0.3)]
        model = TextModel.train(part, FIELDS, list(label[used]), weight=list(weight), fit="svm", inverse_penalty=1.0, scaled=False)  # fmt: skip
        answer = np.array(model.classes)[model.scores(phrases, len(label))[test].argmax(axis=1)]
        right["ours"] += list(answer == label[test])
        vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 2))
        scopes = [r["business_scope"] for r in rows]
        plain = LinearSVC().fit(vectors.fit_transform([scopes[i] for i in train]), label[train])
        right["baseline"] += list(plain.predict(vectors.transform([scopes[i] for i in test])) == label[test])
    return {name: share(np.array(values)) for name, values in right.items()} | {"published_baseline": 0.409}


def naics() -> dict[str, Any]:
    """Index entries of NAICS 2022 → 6 digits, 80/20 by a fixed permutation: ours, nearest neighbour, the published figure."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    from taxonomy.classifier.textmodel import TextField, TextModel

    rows = rows_of("naics2022_index_train.csv")
    order = np.random.default_rng(SEEDS[0]).permutation(len(rows))
    test, train = order[: len(rows) // 5], order[len(rows) // 5 :]
    text = [r["description"].lower() for r in rows]
    label = np.array([r["naics2022"] for r in rows])

    def phrases(which: npt.NDArray[np.int64]) -> pl.DataFrame:
        words = [(i, "text", f" {w} ") for i, at in enumerate(which) for w in text[at].replace(",", " ").split()]
        return pl.DataFrame(words, schema=["row", "field", "phrase"], orient="row")

    started = time.perf_counter()
    fields = (TextField("text", 1.0, (2, 4)),)
    model = TextModel.train(phrases(train), fields, list(label[train]), fit="svm", inverse_penalty=0.5, scaled=False)
    seconds = time.perf_counter() - started
    answer = np.array(model.classes)[model.scores(phrases(test), len(test)).argmax(axis=1)]
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    near = vectors.fit_transform([text[i] for i in train])
    nearest = np.asarray((vectors.transform([text[i] for i in test]) @ near.T).argmax(axis=1)).ravel()
    return {
        "classes": len(model.classes), "train": len(train), "training_s": round(seconds),
        "ours": share(answer == label[test]), "nearest_neighbour": share(label[train][nearest] == label[test]),
        "published": {"nearest_neighbour": 0.599, "BEACON": 0.635},
    }  # fmt: skip


def main() -> int:
    """Run all of it and write the file."""
    if not SAMPLE.is_dir():
        print("the real samples (../shared/data/real_sample) are not here: nothing proved, the committed file stands")
        return 0
    evidence = {
        "seeds": list(SEEDS),
        "real_companies": real_companies(), "filers": filers(), "gbt_division": divisions(), "naics": naics(),
    }  # fmt: skip
    write("classifier", evidence, PROVES)
    print(json.dumps(evidence, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
