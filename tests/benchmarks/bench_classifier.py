"""``make bench-classifier``: the classifier beside its peers, one process an engine, rounds interleaved, medians of five.

Ratios count; seconds depend on the machine. Peers: the scikit-learn hashing pipeline with the same weights, fastText
trained on the same texts, pyahocorasick with the same terms. Each engine is handed the texts as it takes them: ours as
Arrow arrays or polars columns, the peers as lists of Python strings; making these is not timed. Writes ``docs/quality/evidence/bench_classifier.json``.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
PROVES = tuple(
    f"taxonomy/classifier/{n}.py"
    for n in (
        "decide",
        "kernel",
        "kernel_parts",
        "kernel_split",
        "kernel_terms",
        "kernel_text",
        "linear",
        "normalize",
        "scoring",
    )
)
PEERS = ROOT / ".venv-bench" / "bin" / "python"
SEED = 20221101
ROUNDS = 5
ROWS = 20_000
MEMORY_ROWS = (250_000, 1_000_000)


# --- corpora -----------------------------------------------------------------------------------------------------


def write_corpora(folder: Path) -> None:
    """``mixed``: units of the demo city, wording as standardised as a register's; ``free``: no phrase stands twice."""
    import polars as pl

    from etl.demo.mega import build_block, mega_scenario

    units = build_block(mega_scenario(), SEED, 0, ROWS)
    mixed = units.select(
        pl.col("uscc").alias("unit_id"), "name", "business_scope", "main_products", pl.col("gbt_code").cast(pl.String)
    )
    random = np.random.default_rng(SEED)
    hanzi = random.integers(0x4E00, 0x9FA5, (ROWS, 40, 2))
    free = [
        "；".join(f"{p}{chr(a)}{chr(b)}" for p, (a, b) in zip((scope or "").split("；"), hanzi[i], strict=False))
        for i, scope in enumerate(mixed["business_scope"])
    ]
    mixed.write_parquet(folder / "mixed.parquet")
    mixed.with_columns(business_scope=pl.Series(free), main_products=pl.lit(None, pl.String)).write_parquet(
        folder / "free.parquet"
    )
    for name in ("mixed", "free"):
        frame = pl.read_parquet(folder / f"{name}.parquet")
        (folder / f"{name}.json").write_text(
            json.dumps(frame["business_scope"].fill_null("").to_list()), encoding="utf-8"
        )


def write_peer_material(folder: Path) -> None:
    """The lexicon's terms, and fastText's training file: the samples the linear model is trained on, characters as words."""
    from taxonomy.classifier.bundle import load_parameters
    from taxonomy.classifier.lexicon import load_lexicon
    from taxonomy.classifier.training import samples

    (folder / "terms.json").write_text(json.dumps(load_lexicon().words), encoding="utf-8")
    lines = [f"__label__{s.label} {' '.join(s.text)}" for s in samples(load_parameters().weights)]
    (folder / "train.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


# --- engines: each function prepares and returns what is timed ----------------------------------------------------


def _texts(folder: Path, corpus: str) -> list[str]:
    return json.loads((folder / f"{corpus}.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def _bundle(folder: Path) -> Any:
    from taxonomy.classifier.store import ensure_bundle

    return ensure_bundle(folder / "bundles")


def linear_ours(folder: Path, corpus: str) -> Callable[[], Any]:
    import polars as pl

    model, texts = _bundle(folder).model, pl.Series(_texts(folder, corpus))
    return lambda: model.scores(texts)[0].argmax(axis=1).tolist()


def linear_sklearn(folder: Path, corpus: str) -> Callable[[], Any]:
    from sklearn.feature_extraction.text import HashingVectorizer

    from taxonomy.classifier.linear import BITS, NGRAMS

    model, texts = _bundle(folder).model, _texts(folder, corpus)
    hasher = HashingVectorizer(
        analyzer="char", ngram_range=NGRAMS, n_features=2**BITS, alternate_sign=False, norm=None, lowercase=False
    )
    dense = np.zeros((2**BITS, len(model.classes)))
    seen = np.flatnonzero(model.slot >= 0)
    dense[seen] = model.weights[model.slot[seen]]
    # A scale per text changes no argmax: the pipeline is spared it.
    return lambda: (hasher.transform(texts) @ dense).argmax(axis=1).tolist()


def linear_fasttext(folder: Path, corpus: str) -> Callable[[], Any]:
    import fasttext

    fasttext.FastText.eprint = lambda *_: None
    model = fasttext.train_supervised(str(folder / "train.txt"), dim=50, wordNgrams=3, epoch=25, thread=1, verbose=0)
    texts = _texts(folder, corpus)
    return lambda: model.predict([" ".join(t).replace("\n", " ") for t in texts])[0]


def _places(found: Any) -> list[tuple[int, str, int]]:
    return sorted(found)


def lexicon_ours(folder: Path, corpus: str) -> Callable[[], Any]:
    import pyarrow as pa

    from taxonomy.classifier.kernel_terms import TermFinder

    finder = TermFinder(json.loads((folder / "terms.json").read_text(encoding="utf-8")))
    texts = pa.array(_texts(folder, corpus), type=pa.large_string())
    return lambda: finder.find(texts)


def lexicon_pyahocorasick(folder: Path, corpus: str) -> Callable[[], Any]:
    import ahocorasick

    automaton = ahocorasick.Automaton()
    for word in json.loads((folder / "terms.json").read_text(encoding="utf-8")):
        automaton.add_word(word, word)
    automaton.make_automaton()
    texts = _texts(folder, corpus)
    return lambda: [(i, w, end - len(w) + 1) for i, text in enumerate(texts) for end, w in automaton.iter(text)]


def cascade_ours(folder: Path, corpus: str) -> Callable[[], Any]:
    import polars as pl

    from taxonomy.classifier.batch import code_batch

    bundle = _bundle(folder)
    frame = pl.read_parquet(folder / f"{corpus}.parquet")
    batch = frame.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks().to_batches()[0]
    return lambda: code_batch(batch, bundle).num_rows


def cascade_sklearn(folder: Path, corpus: str) -> Callable[[], Any]:
    """The plain pipeline on the same texts (name, scope, products), no evidence, no probability."""
    import polars as pl
    from sklearn.feature_extraction.text import HashingVectorizer

    from taxonomy.classifier.linear import BITS, NGRAMS

    frame = pl.read_parquet(folder / f"{corpus}.parquet")
    texts = frame.select(
        pl.concat_str(["name", "business_scope", "main_products"], separator="\n", ignore_nulls=True)
    ).to_series()
    model = _bundle(folder).model
    hasher = HashingVectorizer(
        analyzer="char", ngram_range=NGRAMS, n_features=2**BITS, alternate_sign=False, norm=None, lowercase=False
    )
    dense = np.zeros((2**BITS, len(model.classes)))
    seen = np.flatnonzero(model.slot >= 0)
    dense[seen] = model.weights[model.slot[seen]]
    listed = texts.to_list()
    return lambda: (hasher.transform(listed) @ dense).argmax(axis=1).size


ENGINES: dict[str, Callable[[Path, str], Callable[[], Any]]] = {
    f.__name__: f
    for f in (
        linear_ours, linear_sklearn, linear_fasttext, lexicon_ours, lexicon_pyahocorasick, cascade_ours, cascade_sklearn,
    )
}  # fmt: skip
PEER_ENGINES = ("linear_fasttext", "lexicon_pyahocorasick")


def worker(engine: str, folder: Path, corpus: str) -> int:
    """Prepare, run once to warm up and write the result, then time a run for every line on standard input."""
    run = ENGINES[engine](folder, corpus)
    result = run()
    if engine.startswith("lexicon"):
        words = json.loads((folder / "terms.json").read_text(encoding="utf-8"))
        found = [(int(i), words[t], int(at)) for i, t, at in result] if engine == "lexicon_ours" else result
        result = _places(found)
    if engine.startswith(("linear", "lexicon")):
        (folder / f"{corpus}.{engine}.out.json").write_text(
            json.dumps([list(r) if isinstance(r, tuple) else r for r in result])
        )
    print("ready", flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        run()
        print(time.perf_counter() - started, flush=True)
    return 0


# --- the comparison ----------------------------------------------------------------------------------------------


def interleaved(folder: Path, corpus: str, engines: list[str]) -> dict[str, float]:
    """Median seconds of each engine, one process each, one round after the other."""
    children = {}
    environment = {**os.environ, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    for engine in engines:
        python = str(PEERS) if engine in PEER_ENGINES else sys.executable
        command = [python, str(Path(__file__)), "--worker", engine, str(folder), corpus]
        children[engine] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )
        assert children[engine].stdout.readline().strip() == "ready", engine  # type: ignore[union-attr]
    seconds: dict[str, list[float]] = {engine: [] for engine in engines}
    for _ in range(ROUNDS):
        for engine, child in children.items():
            child.stdin.write("go\n")  # type: ignore[union-attr]
            child.stdin.flush()  # type: ignore[union-attr]
            seconds[engine].append(float(child.stdout.readline()))  # type: ignore[union-attr]
    for child in children.values():
        child.stdin.close()  # type: ignore[union-attr]
        child.wait()
    return {engine: statistics.median(values) for engine, values in seconds.items()}


def _same(folder: Path, corpus: str, first: str, second: str) -> float:
    """Share of equal results."""
    a, b = (json.loads((folder / f"{corpus}.{e}.out.json").read_text()) for e in (first, second))
    return 1.0 if a == b else sum(x == y for x, y in zip(a, b, strict=False)) / max(len(a), len(b))


def memory(folder: Path) -> dict[str, Any]:
    """Peak memory of ``aistat classify`` on a quarter of a million and on a million rows."""
    import polars as pl

    frame, found = pl.read_parquet(folder / "mixed.parquet"), {}
    for rows in MEMORY_ROWS:
        source, target = folder / f"{rows}.parquet", folder / f"{rows}.out.parquet"
        pl.concat([frame] * -(-rows // frame.height)).head(rows).write_parquet(source, row_group_size=50_000)
        command = [sys.executable, "-m", "aistat", "classify", str(source), "-o", str(target), "--evidence"]
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "AISTAT_HOME": str(folder)},
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        elapsed = time.perf_counter() - started
        found[str(rows)] = {"seconds": round(elapsed, 1), "rows_per_s": round(rows / elapsed), "peak_mib": round(usage.ru_maxrss / 1024)}  # fmt: skip
        target.unlink()
    peaks = [f["peak_mib"] for f in found.values()]
    return {**found, "peak_ratio": round(peaks[1] / peaks[0], 3)}


def main() -> int:
    """Compare, print, write."""
    found: dict[str, Any] = {"rows": ROWS, "rounds": ROUNDS, "seed": SEED, "cpus": os.cpu_count()}
    with tempfile.TemporaryDirectory(prefix="aistat-bench-") as name:
        folder = Path(name)
        write_corpora(folder)
        write_peer_material(folder)
        _bundle(folder)
        for corpus in ("mixed", "free"):
            engines = [e for e in ENGINES if e not in PEER_ENGINES or PEERS.exists()]
            median = interleaved(folder, corpus, engines)
            ratios = {
                "linear_vs_sklearn": median["linear_sklearn"] / median["linear_ours"],
                "cascade_vs_sklearn": median["cascade_sklearn"] / median["cascade_ours"],
            }
            same = {"linear_equal_decisions": _same(folder, corpus, "linear_ours", "linear_sklearn")}
            if PEERS.exists():
                ratios["linear_vs_fasttext"] = median["linear_fasttext"] / median["linear_ours"]
                ratios["lexicon_vs_pyahocorasick"] = median["lexicon_pyahocorasick"] / median["lexicon_ours"]
                same["lexicon_equal_matches"] = _same(folder, corpus, "lexicon_ours", "lexicon_pyahocorasick")
            found[corpus] = {
                "median_s": {e: round(s, 4) for e, s in median.items()},
                "rows_per_s": {e: round(ROWS / s) for e, s in median.items()},
                "ratio": {k: round(v, 2) for k, v in ratios.items()},
                "equal": same,
            }
            print(corpus, json.dumps(found[corpus], ensure_ascii=False), flush=True)
        found["memory"] = memory(folder)
        print("memory", json.dumps(found["memory"]), flush=True)
    from tests.benchmarks.proof import write

    write("bench_classifier", found, PROVES)
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        raise SystemExit(worker(sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
    raise SystemExit(main())
