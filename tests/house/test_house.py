"""Tests about the repository itself: what must hold whatever the code does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("aistat", "taxonomy", "warehouse", "etl", "dashboard")
TEXT_SUFFIXES = {".py", ".md", ".txt", ".in", ".yaml", ".yml", ".toml", ".sh", ".css", ".js", ".sql", ""}


def repository_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        return [p for package in PACKAGES for p in (ROOT / package).rglob("*") if p.is_file()]
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def text_files() -> list[Path]:
    return [p for p in repository_files() if p.suffix in TEXT_SUFFIXES]


def python_files() -> list[Path]:
    return [p for p in repository_files() if p.suffix == ".py" and p.relative_to(ROOT).parts[0] in PACKAGES]


def test_packages_import_only_downwards() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["base", "test", "spark"])
def test_requirements_are_hash_pinned_and_name_no_host(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert "://" not in text
    assert not re.search(r"^\s*--(extra-)?(index|find)", text, re.M)
    pins = re.findall(r"^[A-Za-z0-9_.\[\]-]+==\S+", text, re.M)
    assert len(pins) > 50
    for block in re.split(r"\n(?=[A-Za-z0-9])", text.strip()):
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_no_file_names_a_package_registry_or_a_path_of_one_machine() -> None:
    registry = re.compile(r"(pypi|pythonhosted|registry\.npmjs|deb\.debian)\.(org|com)", re.I)
    machine = re.compile(r"(?<![\w.-])/(work|farm|root|home)/\w")
    hits = []
    for path in text_files():
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if registry.search(line) or machine.search(line):
                hits.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not hits, "\n".join(hits)


def test_queries_of_more_than_one_line_live_in_sql_files() -> None:
    hits = []
    for path in python_files():
        for match in re.finditer(r'("""|\'\'\')(.*?)\1', path.read_text(encoding="utf-8"), re.S):
            if re.match(r"\s*(select|with|create|insert|update|delete)\b[^.]*\n", match.group(2), re.I):
                hits.append(f"{path.relative_to(ROOT)}: {match.group(2).strip()[:60]!r}")
    assert not hits, "\n".join(hits)


def test_only_one_module_opens_duckdb() -> None:
    hits = [
        str(p.relative_to(ROOT))
        for p in python_files()
        if re.search(r"\bduckdb\.connect\(", p.read_text(encoding="utf-8"))
    ]
    assert hits == ["warehouse/connect.py"]


def test_no_module_grew_past_four_hundred_lines() -> None:
    long = {str(p.relative_to(ROOT)): n for p in python_files() if (n := len(p.read_text().splitlines())) > 400}
    assert not long, f"find the missing idea: {long}"


def test_asset_names_follow_the_house_pattern() -> None:
    from etl.definitions import defs

    pattern = re.compile(
        r"^(collect|process|analyse|disseminate|reference|control)_[a-z0-9_]+?__"
        r"(rows|unit|obs|assn|code|flag|weight|est|cell|series|log)_[a-z0-9_]+$"
    )
    names = [key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()]
    assert len(names) >= 12
    assert [n for n in names if not pattern.match(n)] == []


def test_every_contract_of_a_source_has_a_provenance_page_for_committed_data() -> None:
    for data in sorted((ROOT / "etl" / "sources").glob("*/data")):
        page = data / "PROVENANCE.md"
        assert page.exists(), f"{page.relative_to(ROOT)} is missing"
        for file in data.glob("*.csv"):
            assert file.name in page.read_text(encoding="utf-8"), f"{page} does not describe {file.name}"


def test_committed_public_data_hold_no_column_the_licence_forbids() -> None:
    forbidden = {
        "business_scope",
        "经营范围",
        "ai_boards",
        "hardware_boards",
        "csrc_industry",
        "ai_board_label",
        "phone",
    }
    for file in (ROOT / "etl" / "sources").glob("*/data/*.csv"):
        header = file.read_text(encoding="utf-8-sig").splitlines()[0].split(",")
        assert not forbidden & set(header), file


def test_every_method_has_a_page_of_its_family_that_names_it() -> None:
    from etl.methods.registry import methods

    declared = methods()
    assert {"growth.yoy", "disclosure.protect", "disclosure.audit", "stratum.ratio"} <= set(declared)
    pages = {p.stem: p.read_text(encoding="utf-8") for p in (ROOT / "docs" / "methods").glob("*.md")}
    missing = [i for i in declared if f"`{i}`" not in pages.get(i.partition(".")[0], "")]
    assert not missing, f"methods that docs/methods/<family>.md does not name: {missing}"


def test_every_runnable_method_has_its_page_with_formula_example_and_source() -> None:
    from etl.methods.tabular import table_methods

    for identifier, method in table_methods().items():
        page = ROOT / "docs" / "methods" / f"{identifier}.md"
        assert page.exists(), f"docs/methods/{identifier}.md is missing"
        text = page.read_text(encoding="utf-8")
        lost = [h for h in ("## 公式", "## 假定", "## 边界", "## 算例", "## 出处") if h not in text]
        names = [c.name for c in method.columns if not c.pattern] + [p.name for p in method.parameters]
        lost += [n for n in names if f"`{n}`" not in text]
        assert not lost, f"{page.name} does not hold {lost}"
