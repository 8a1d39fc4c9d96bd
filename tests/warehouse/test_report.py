"""The Art. 67 draft holds released numbers only, and the guard finds every number that is not one."""

import io
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import docx
import pytest
from docx.document import Document
from docx.oxml.ns import qn

from aistat.cli import main
from tests.warehouse.sample_release import publish_sample, sample_release
from warehouse.read import Release
from warehouse.report.document import Table
from warehouse.report.docx_file import render_docx
from warehouse.report.draft import NoSuchYear, draft_art67
from warehouse.report.facts import FactBook, FactKey, FactUnavailable
from warehouse.report.guard import Finding, NotADraft, check
from warehouse.report.numerals import find_numerals
from warehouse.report.template import TemplateError, _lint

BODY = "word/document.xml"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return sample_release(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def content(release: Release) -> bytes:
    return render_docx(draft_art67(release, 2025))


@pytest.fixture
def audit(release: Release, tmp_path: Path) -> Callable[[bytes], list[Finding]]:
    """The guard's findings on a file with these bytes."""

    def run(data: bytes) -> list[Finding]:
        path = tmp_path / "edited.docx"
        path.write_bytes(data)
        return check(path, release).findings

    return run


def part(content: bytes, name: str = BODY) -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        return package.read(name).decode()


def with_part(content: bytes, name: str, text: str | bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w") as target:
        for known in source.namelist():
            if known != name:
                target.writestr(known, source.read(known))
        target.writestr(name, text)
    return out.getvalue()


def replaced(content: bytes, old: str, new: str, name: str = BODY) -> bytes:
    text = part(content, name)
    assert old in text, f"{old!r} is not in {name}"
    return with_part(content, name, text.replace(old, new, 1))


def edited(content: bytes, change: Callable[[Document], object]) -> bytes:
    document = docx.Document(io.BytesIO(content))
    change(document)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def paragraph_with(document: Document, words: str) -> "docx.text.paragraph.Paragraph":
    return next(p for p in document.paragraphs if words in p.text)


def text_of(content: bytes) -> str:
    return re.sub(r"<[^>]+>", "", part(content))


# --- the draft ---------------------------------------------------------------------------------------------------


def test_the_same_release_gives_the_same_bytes(release: Release, content: bytes) -> None:
    assert render_docx(draft_art67(release, 2025)) == content
    assert render_docx(draft_art67(release, 2024)) != content


def test_a_clean_draft_passes_and_its_facts_are_counted(release: Release, tmp_path: Path) -> None:
    for lang in ("zh", "en"):
        draft = draft_art67(release, 2025, lang)
        path = tmp_path / f"{lang}.docx"
        path.write_bytes(render_docx(draft))
        report = check(path, release)
        assert report.findings == []
        assert report.facts == len(list(draft.runs())) > 200
        assert report.numbers > report.facts


def test_sections_of_article_67(content: bytes) -> None:
    document = docx.Document(io.BytesIO(content))
    heads = [p.text for p in document.paragraphs if p.style.name == "Heading 1"]
    for words in (
        "技术与产业发展趋势", "行为方式", "收入变化", "社会心理", "就业结构", "社会公平", "经济、社会、生态", "对策建议",
        "指标解释", "方法说明", "数字溯源表",
    ):  # fmt: skip
        assert any(words in head for head in heads), words
    assert [h[: h.index("、")] for h in heads[1:14]] == [
        "一",
        "二",
        "三",
        "四",
        "五",
        "六",
        "七",
        "八",
        "九",
        "十",
        "十一",
        "十二",
        "十三",
    ]


def test_where_there_is_nothing_it_says_so_and_holds_no_number(content: bytes) -> None:
    document = docx.Document(io.BytesIO(content))
    texts = [p.text for p in document.paragraphs]
    start, end = (next(i for i, t in enumerate(texts) if t.startswith(n)) for n in ("六、", "七、"))
    section = texts[start + 1 : end]
    assert sum("数据不足" in t for t in section) == 4
    assert not any(re.search(r"\d", t) for t in section)
    assert "没有经中文效度检验的量表调查数据" in "".join(section)


def test_numbers_are_worded_as_the_release_says(release: Release, content: bytes) -> None:
    text = text_of(content)
    book = FactBook(release)
    level = book.get(FactKey("level", "core_leaf_year", "employed_persons", "2025"))
    growth = book.get(FactKey("growth", "core_leaf_year", "employed_persons", "2025"))
    assert level.printed("text", "zh") == f"{level.value:.0f}人"
    assert f"年末人工智能企业从业人员{level.printed('text', 'zh')}，比上年{growth.printed('text', 'zh')}。" in text
    assert growth.printed("text", "zh")[:2] in ("增长", "下降", "持平")
    tiny = book.get(FactKey("level", "core_leaf_year", "ai_revenue", "2025", (("ai_class", "B21"),)))
    assert (tiny.printed("text", "zh"), tiny.printed("number", "zh")) == ("不足0.01亿元", "…")


def test_every_fact_is_listed_with_its_source(release: Release) -> None:
    draft = draft_art67(release, 2025)
    table = draft.blocks[-1]
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == [f.id for f in draft.facts()]
    assert {str(row[6]).split(" · ")[1] for row in table.rows} == {"模拟", "真实"}
    assert {row[7] for row in table.rows} == {release.info.vintage}


UNIQUE = "7654321098.00"


def branch_release(home: Path, *, withheld: bool) -> Release:
    """The sample with branch A's revenue of 2025 a number that stands in no other cell, shown or withheld."""
    import polars as pl

    from tests.warehouse.sample_release import WITHHELD, core_cube, sample_content, with_cube
    from warehouse.read import open_release
    from warehouse.release import publish

    frame = core_cube("core_leaf_year")
    hit = (pl.col("ai_class") == "A") & (pl.col("period") == "2025") & (pl.col("indicator") == "ai_revenue")
    changes = WITHHELD if withheld else {"value": Decimal(UNIQUE)}
    frame = frame.with_columns(
        pl.when(hit).then(pl.lit(v)).otherwise(pl.col(k)).cast(frame.schema[k]).alias(k) for k, v in changes.items()
    )
    content = with_cube(sample_content(), "core_leaf_year", frame)
    return open_release(home, publish(home, content).release_id)


def test_withheld_values_stand_nowhere(tmp_path: Path) -> None:
    release = branch_release(tmp_path / "shown", withheld=False)
    key = FactKey("level", "core_leaf_year", "ai_revenue", "2025", (("ai_class", "A"),))
    secret = FactBook(release).get(key).printed("number", "zh")
    assert secret == "76.54"
    assert secret in text_of(render_docx(draft_art67(release, 2025)))
    hidden = branch_release(tmp_path / "hidden", withheld=True)
    for kind in ("level", "growth", "share"):
        with pytest.raises(FactUnavailable) as caught:
            FactBook(hidden).get(FactKey(kind, *[getattr(key, n) for n in ("dataset", "indicator", "period")],
                                         key.dimensions))  # fmt: skip
        assert caught.value.withheld
    draft = draft_art67(hidden, 2025)
    text = text_of(render_docx(draft))
    assert secret not in text
    assert "硬件业务收入（保密），比上年（保密）；" in text
    assert "人工智能业务收入（活动口径） · 人工智能硬件：保密，不予公布。" in text
    bars = next(b for b in draft.blocks if isinstance(b, Table) and b.caption.startswith("图1"))
    assert bars.rows[0] == ("人工智能硬件", "", "x")
    assert not any(f.key == key or (dict(f.key.dimensions) == {"ai_class": "A"} and f.key.indicator == "ai_revenue"
                   and f.key.period == "2025") for f in draft.facts())  # fmt: skip


def test_simulated_data_is_labelled_and_real_data_is_not(release: Release, content: bytes, tmp_path: Path) -> None:
    document = docx.Document(io.BytesIO(content))
    assert "模拟数据" in document.paragraphs[0].text
    assert all("模拟数据" in s.header.paragraphs[0].text for s in document.sections)
    real = render_docx(draft_art67(sample_release(tmp_path, synthetic=False), 2025))
    assert "模拟数据" not in text_of(real)
    assert "模拟数据" not in part(real, next(n for n in zipfile.ZipFile(io.BytesIO(real)).namelist() if "header" in n))


def test_english(release: Release) -> None:
    text = text_of(render_docx(draft_art67(release, 2025, "en")))
    for words in (
        "Insufficient data",
        "SIMULATED DATA",
        "on the previous year",
        "Countermeasures",
        "AI hardware",
    ):
        assert words in text
    with pytest.raises(ValueError, match="expected zh or en"):
        draft_art67(release, 2025, "fr")


def test_a_year_not_released_is_refused_by_name(release: Release) -> None:
    with pytest.raises(NoSuchYear, match="2023, 2024, 2025, not 2019"):
        draft_art67(release, 2019)


def test_templates_may_hold_no_quantity() -> None:
    _lint("t", "《条例》第六十七条第一款，{year}年⟦level:ai_revenue⟧，表1")
    for text in ("企业3120家", "增长12.3%", "约三百家", "⟦level:ai revenue⟧"):
        with pytest.raises(TemplateError):
            _lint("t", text)


# --- the guard ---------------------------------------------------------------------------------------------------

SENTENCE = re.compile(r'w:val="(F[0-9a-f]{10}):text"/></w:sdtPr><w:sdtContent><w:r><w:t xml:space="preserve">([^<]*)')


def first_control(content: bytes) -> tuple[str, str, str]:
    """(whole match, fact id, text) of the first fact in running text."""
    match = SENTENCE.search(part(content))
    assert match
    return match[0], match[1], match[2]


def test_a_forged_digit_inside_a_control_is_found(content: bytes, audit: Callable[[bytes], list[Finding]]) -> None:
    whole, _, text = first_control(content)
    digit = re.search(r"\d", text)
    assert digit
    forged = text.replace(digit[0], str((int(digit[0]) + 1) % 10), 1)
    (finding,) = audit(replaced(content, whole, whole[: -len(text)] + forged))
    assert forged.startswith(finding.text)
    assert finding.where.startswith(BODY)


def test_every_single_fact_forged_in_turn_is_found(release: Release, content: bytes, tmp_path: Path) -> None:
    """Each printed fact with its last digit changed: one document holds every tenth forgery."""
    text = part(content)
    controls = list(re.finditer(r"(<w:sdtContent><w:r>(?:<w:rPr>.*?</w:rPr>)?<w:t [^>]*>)([^<]*\d[^<]*)", text))
    assert len(controls) > 200
    for offset in range(10):
        chosen, pieces, position = controls[offset::10], [], 0
        forgeries = []
        for match in chosen:
            last = [i for i, c in enumerate(match[2]) if c.isdigit()][-1]
            forged = match[2][:last] + str((int(match[2][last]) + 3) % 10) + match[2][last + 1 :]
            pieces += [text[position : match.start(2)], forged]
            forgeries.append(re.findall(r"[\d.,]*\d", forged)[-1])
            position = match.end(2)
        path = tmp_path / "forged.docx"
        path.write_bytes(with_part(content, BODY, "".join(pieces) + text[position:]))
        found = check(path, release).findings
        # A changed digit may make two findings (the number, and the sentence it stands in), never none.
        assert len(found) >= len(chosen), offset
        assert [f for f in forgeries if not any(f in finding.text for finding in found)] == [], offset


def test_a_number_added_outside_a_control_is_found(content: bytes, audit: Callable[[bytes], list[Finding]]) -> None:
    for words, number in (
        ("另有企业37家。", "37家"), ("增长近三成。", "三成"), ("翻了一番，即翻一番。", "翻一番"), ("约三百五十户", "三百五十户"),
        ("占百分之二十", "百分之二十"), ("共１２个", "１２个"), ("about twenty firms", "twenty"), ("第①类 ⅔", "①"),
    ):  # fmt: skip
        found = audit(edited(content, lambda d, w=words: d.add_paragraph(w)))
        assert any(number in f.text or f.text in number for f in found), words
    assert audit(edited(content, lambda d: d.add_paragraph("十分重要，进一步说明，一定要做。"))) == []


def test_a_number_appended_to_a_true_sentence_is_found(content: bytes, audit: Callable[[bytes], list[Finding]]) -> None:
    found = audit(edited(content, lambda d: paragraph_with(d, "[D] ").add_run("超过计划5.5%。")))
    assert [f.text for f in found] == ["5.5%"]


def test_a_changed_unit_is_found(content: bytes, audit: Callable[[bytes], list[Finding]]) -> None:
    amount = re.search(r"\d+\.\d\d亿元", text_of(content))
    assert amount
    found = audit(replaced(content, amount[0], amount[0].replace("亿", "万")))
    assert [f.text for f in found] == [amount[0].replace("亿", "万")]
    found = audit(replaced(content, "人工智能业务收入（活动口径）（亿元）", "人工智能业务收入（活动口径）（万元）"))
    assert len(found) > 3


def test_a_changed_direction_is_found(content: bytes, audit: Callable[[bytes], list[Finding]]) -> None:
    word, other = (
        ("增长", "下降") if "比上年</w:t></w:r><w:sdt>" and "增长" in first_growth(content) else ("下降", "增长")
    )
    growth = first_growth(content)
    found = audit(replaced(content, f">{growth}<", f">{growth.replace(word, other)}<"))
    assert [f.text for f in found] == [growth.replace(word, other)]


def first_growth(content: bytes) -> str:
    match = re.search(r">((?:增长|下降)[\d.]+%)<", part(content))
    assert match
    return match[1]


def test_a_number_in_another_facts_place_is_found(content: bytes, audit: Callable[[bytes], list[Finding]]) -> None:
    """Two true numbers change places: inside their controls, and with their controls."""

    def swap(document: Document, whole: bool) -> None:
        sentence = paragraph_with(document, "硬件企业占")._p
        first, second = list(sentence.iter(qn("w:sdt")))[:2]
        if not whole:
            a, b = next(first.iter(qn("w:t"))), next(second.iter(qn("w:t")))
            a.text, b.text = b.text, a.text
            return
        place = second.getnext()
        first.addprevious(second)
        place.addprevious(first)

    for whole in (False, True):
        assert audit(edited(content, lambda d, w=whole: swap(d, w))) != []


def table_rows(document: Document) -> list[object]:
    return list(document.tables[1].rows)


def test_tables_are_checked_cell_by_cell(content: bytes, audit: Callable[[bytes], list[Finding]]) -> None:
    def cells(document: Document, row: int) -> list[object]:
        return [next(c._tc.iter(qn("w:t"))) for c in document.tables[1].rows[row].cells]

    def swap_rows(document: Document) -> None:
        for a, b in list(zip(cells(document, 2), cells(document, 3), strict=True))[1:]:
            a.text, b.text = b.text, a.text

    found = audit(edited(content, swap_rows))
    assert {f.where.rpartition(" ")[2] for f in found} >= {"2", "4"}
    assert all("表2" in f.where and "should be" in f.reason for f in found)

    def swap_labels(document: Document) -> None:
        a, b = cells(document, 2)[0], cells(document, 3)[0]
        a.text, b.text = b.text, a.text

    assert audit(edited(content, swap_labels)) != []

    def swap_captions(document: Document) -> None:
        a, b = (next(paragraph_with(document, n)._p.iter(qn("w:t"))) for n in ("表2 ", "表3 "))
        a.text, b.text = b.text, a.text

    assert len(audit(edited(content, swap_captions))) > 5


def test_a_withheld_cell_filled_in_is_found(content: bytes, audit: Callable[[bytes], list[Finding]]) -> None:
    def fill(document: Document) -> None:
        mark = next(t for t in document.tables[1]._tbl.iter(qn("w:t")) if t.text == "—")
        mark.text = "12.3"

    found = audit(edited(content, fill))
    assert [f.text for f in found] == ["12.3"]


def test_words_around_a_number_are_checked(content: bytes, audit: Callable[[bytes], list[Finding]]) -> None:
    (finding,) = audit(replaced(content, "比上年", "比上月"))
    assert "words around" in finding.reason
    assert audit(replaced(content, "第六十七条第一款规定", "第六十八条第一款规定")) != []
    assert audit(replaced(content, "表2 2025年", "表2 2026年")) != []


def test_headers_notes_boxes_and_pictures(content: bytes, audit: Callable[[bytes], list[Finding]]) -> None:
    header = next(n for n in zipfile.ZipFile(io.BytesIO(content)).namelist() if n.startswith("word/header"))
    label = "模拟数据 · 仅供演示 · 草案，未经签发"
    found = audit(replaced(content, label, "收入99亿元", header))
    assert any("99" in f.text and f.where.startswith(header) for f in found)
    assert any("page header must say" in f.reason for f in found)
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    note = (
        f'<w:footnotes xmlns:w="{space}"><w:footnote><w:p><w:r><w:t>计88家</w:t></w:r></w:p></w:footnote></w:footnotes>'
    )
    assert [f.text for f in audit(with_part(content, "word/footnotes.xml", note))] == ["88家"]
    chart = '<c xmlns="urn:chart"><v>4321</v></c>'
    assert [f.text for f in audit(with_part(content, "word/charts/chart1.xml", chart))] == ["4321"]
    assert [f.where for f in audit(with_part(content, "word/media/a.png", b"x"))] == ["word/media/a.png"]
    box = "<w:r><w:pict><w:txbxContent><w:p><w:r><w:t>77人</w:t></w:r></w:p></w:txbxContent></w:pict></w:r></w:p>"
    assert [f.text for f in audit(replaced(content, "</w:p>", box))] == ["77人"]


def test_taking_the_label_away_is_found(content: bytes, audit: Callable[[bytes], list[Finding]]) -> None:
    found = audit(edited(content, lambda d: d.paragraphs[0].clear()))
    assert ["first page" in f.reason for f in found] == [True]


def test_people_may_cite_facts_in_their_own_section(
    release: Release, content: bytes, audit: Callable[[bytes], list[Finding]]
) -> None:
    _, fact, text = first_control(content)

    def advise(words: str, heading: str = "十二、") -> Callable[[Document], object]:
        def change(document: Document) -> None:
            following = paragraph_with(document, {"十二、": "十三、", "九、": "十、风险"}[heading])
            following.insert_paragraph_before(words, style="Normal")

        return change

    assert audit(edited(content, advise(f"企业{text}〔{fact}〕，应当加强服务。"))) == []
    assert audit(edited(content, advise(f"企业{text}，应当加强服务。"))) != []
    assert audit(edited(content, advise(f"企业9{text}〔{fact}〕，应当加强服务。"))) != []
    assert audit(edited(content, advise(f"企业8家〔{fact}〕，应当加强服务。"))) != []
    assert audit(edited(content, advise(f"企业{text}〔{fact}〕。", "九、"))) != []


def test_a_control_must_name_the_fact_it_shows(content: bytes, audit: Callable[[bytes], list[Finding]]) -> None:
    ids = SENTENCE.findall(part(content))
    other = next(i for i, t in ids if t != ids[0][1])
    (finding,) = audit(replaced(content, f'"{ids[0][0]}:text"', f'"{other}:text"'))
    assert "another fact" in finding.reason


def test_files_that_are_no_draft(release: Release, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.docx"
    docx.Document().save(str(path))
    with pytest.raises(NotADraft, match="not written by"):
        check(path, release)
    path.write_text("no zip", encoding="utf-8")
    with pytest.raises(NotADraft, match="not a DOCX"):
        check(path, release)
    path.write_bytes(replaced(content, " 2025 r", " 2019 r", "docProps/core.xml"))
    assert "not 2019" in check(path, release).findings[0].reason
    path.write_bytes(replaced(content, " 2025 r", " 2024 r", "docProps/core.xml"))
    assert len(check(path, release).findings) > 50


def test_numerals() -> None:
    def texts(text: str) -> list[str]:
        return [n.text for n in find_numerals(text)]

    assert texts("企业1,234家，增长5.4%，下降 3 个百分点") == ["1,234家", "增长5.4%", "下降 3 个百分点"]
    assert texts("三成、百分之十五、翻番、五分之一、两千家") == [
        "三成",
        "百分之十五",
        "翻番",
        "五分之一",
        "两千家",
    ]
    assert texts("一方面统一思想，十分重要，千万不要，万一") == []
    assert texts("half of it, twice") == ["half", "twice"]


# --- command line and office -------------------------------------------------------------------------------------


def test_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        return (code, *capsys.readouterr())

    home, file = tmp_path / "home", tmp_path / "F.docx"
    publish_sample(home)
    monkeypatch.setenv("AISTAT_HOME", str(home))
    code, out, _ = run("draft", "art67", "--year", "2025", "--format", "docx", "-o", str(file))
    assert (code, "supported" in out, file.read_bytes() == content) == (0, True, True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["F.docx", "home"]
    code, out, _ = run("guard", str(file))
    assert code == 0
    assert re.search(r"all \d+ numbers supported, \d+ of them", out)
    file.write_bytes(edited(content, lambda d: d.add_paragraph("新增4321家")))
    code, out, _ = run("guard", str(file))
    assert (code, "4321家" in out, BODY in out) == (1, True, True)
    code, _, error = run("draft", "art67", "--year", "2019", "-o", str(file))
    assert (code, "2023, 2024, 2025" in error) == (2, True)
    code, _, error = run("draft", "art67", "--year", "2025", "-o", str(tmp_path / "none" / "F.docx"))
    assert (code, "no such folder" in error) == (2, True)
    monkeypatch.setenv("AISTAT_HOME", str(tmp_path / "empty"))
    assert run("guard", str(file))[0] == 2
    assert run("draft", "art67", "--year", "2025", "-o", str(file))[0] == 2


@pytest.mark.office
def test_libreoffice_opens_it(content: bytes, tmp_path: Path) -> None:
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice (soffice) is not installed, so opening the draft in an office suite is not tested")
    (tmp_path / "d.docx").write_bytes(content)
    profile = f"-env:UserInstallation=file://{tmp_path}/profile"
    command = [
        office,
        profile,
        "--headless",
        "--convert-to",
        "pdf",
        "--outdir",
        str(tmp_path),
        str(tmp_path / "d.docx"),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert (tmp_path / "d.pdf").read_bytes().startswith(b"%PDF")
