"""The review desk: who may enter, what a blind task hides, what is refused; and that the officials' app has no way there."""

import ast
import json
import re
from pathlib import Path

import polars as pl
import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.app import create_app
from dashboard.desk.app import create_desk, desk_words
from dashboard.desk.view import catalogue, choices, marked_texts, pieces
from taxonomy.classifier.gold import with_text_hashes
from warehouse.evidence import Contribution, EvidenceStore
from warehouse.evidence_write import write_evidence_file
from warehouse.review_journal import ReviewJournal
from warehouse.review_results import labels
from warehouse.review_rules import Given, known_code

ROOT = Path(__file__).parents[2]
PASSWORD = "a long password"
USERS = {
    "li": ("analyst", "统计", "city"), "wang": ("methodologist", "统计", "city"), "nan": ("analyst", "统计", "440305"),
    "official": ("official", "产业主管", "city"), "industry": ("analyst", "产业主管", "city"), "admin": ("admin", "统计", "city"),
}  # fmt: skip
SCOPE = "人工智能应用软件开发；智能机器人的研发；餐饮服务<script>alert(1)</script>"
WORDS = "智能机器人的研发"


def units() -> pl.DataFrame:
    """Four units; the third is asked blind."""
    start = SCOPE.index(WORDS)
    evidence = {
        "class": "A51", "bias": -7.5, "score": -1.0,
        "contributions": [
            {"kind": "lexicon", "field": "scope", "text": WORDS, "start": start, "end": start + len(WORDS), "value": 5.0},
            {"kind": "code", "field": "gbt_code", "text": "", "start": 0, "end": 0, "value": 1.5},
        ],
    }  # fmt: skip
    rows = [
        {
            "unit_id": f"UNIT{i}", "name": f"某{i}号科技有限公司", "business_scope": SCOPE, "main_products": None, "gbt_code": "6511",
            "area": "440304" if i else "440305", "ai_class": None, "route": "review", "p_ai": 0.4, "probability": 0.37,
            "candidates": json.dumps([{"code": "A51", "p": 0.371}, {"code": "B21", "p": 0.029}]),
            "evidence": json.dumps(evidence), "bundle": "b1",
        }
        for i in range(4)
    ]  # fmt: skip
    return with_text_hashes(pl.DataFrame(rows, schema_overrides={"main_products": pl.String, "ai_class": pl.String}))


def queue(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select("unit_id", "text_hash", "bundle", "area").with_row_index("position").with_columns(
        kind=pl.when(pl.col("position") == 2).then(pl.lit("random")).otherwise(pl.lit("effect")),
        blind=pl.col("position") == 2, coders_needed=pl.lit(1), effect=pl.lit(1.0),
        inclusion_probability=pl.lit(None, pl.Float64),
    )  # fmt: skip


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with users only (making passwords is slow)."""
    home = tmp_path_factory.mktemp("accounts")
    journal = ReviewJournal(home)
    for name, (role, organisation, area) in USERS.items():
        journal.add_user(name, PASSWORD, role, organisation=organisation, area=area)
    journal._engine.dispose()
    return home


@pytest.fixture()
def home(accounts: Path, tmp_path: Path) -> Path:
    import shutil

    for file in accounts.glob("journal.db*"):
        shutil.copy(file, tmp_path / file.name)
    journal, frame = ReviewJournal(tmp_path), units()
    journal.open_batch("r1", queue(frame))
    write_evidence_file(tmp_path / "evidence", "r1", frame)
    return tmp_path


@pytest.fixture()
def desk(home: Path):  # type: ignore[no-untyped-def]
    return create_desk(home, home / "evidence")


def token(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    return found[1]


def enter(server, name: str) -> FlaskClient:  # type: ignore[no-untyped-def]
    client: FlaskClient = server.test_client()
    page = client.get("/login").get_data(as_text=True)
    data = {"name": name, "password": PASSWORD, "csrf_token": token(page)}
    assert client.post("/login", data=data).status_code == 302
    return client


def page_of(client: FlaskClient, path: str = "/") -> str:
    return client.get(path).get_data(as_text=True)


def hidden(page: str) -> dict[str, str]:
    """The fields a form sends by itself."""
    form = page[page.index('class="answer"') :]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form[: form.index("</form>")]))


def take(client: FlaskClient) -> str:
    answer = client.post("/take", data={"csrf_token": token(page_of(client))}, follow_redirects=True)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_only_reviewers_of_a_statistics_organisation_enter(desk) -> None:  # type: ignore[no-untyped-def]
    anonymous = desk.test_client()
    assert anonymous.get("/").status_code == 302 and anonymous.get("/disputes").status_code == 302
    assert anonymous.post("/take").status_code in (400, 401)
    for name in ("official", "industry", "admin"):
        client = enter(desk, name)
        for path in ("/", "/disputes", "/nothing"):
            answer = client.get(path)
            assert answer.status_code == 403 and "某" not in answer.get_data(as_text=True), (name, path)
        for path in ("/take", "/answer", "/back", "/disputes"):
            assert client.post(path).status_code in (400, 403)
    assert enter(desk, "li").get("/").status_code == 200
    assert enter(desk, "li").get("/disputes").status_code == 403, "rulings are for methodologists"
    assert enter(desk, "wang").get("/disputes").status_code == 200


def test_a_task_shows_the_evidence_with_its_words_marked(desk, home: Path) -> None:  # type: ignore[no-untyped-def]
    page = take(enter(desk, "li"))
    assert "某0号科技有限公司" in page and "6511" in page
    assert re.search(rf'<mark class="plus-4" title="\+5.00">{WORDS}</mark>', page)
    assert "<script>" not in page and "&lt;script&gt;" in page, "a unit's text is text"
    assert 'value="A51"' in page and "37.1%" in page and 'value="none"' in page
    assert "-7.50" in page and "-1.00" in page
    journal = ReviewJournal(home)
    viewed = [e for e in journal.audit() if e["action"] == "evidence_viewed"]
    assert viewed and viewed[0]["user"] == "li" and "UNIT0" not in viewed[0]["detail"] and journal.audit_is_intact()


def test_a_blind_task_shows_nothing_of_the_model(desk) -> None:  # type: ignore[no-untyped-def]
    client, other = enter(desk, "li"), enter(desk, "wang")
    page = take(client)
    take(other)
    data = {**hidden(page), "csrf_token": token(page), "code": "none", "action": "answer"}
    page = client.post("/answer", data=data, follow_redirects=True).get_data(as_text=True)
    assert "某2号科技有限公司" in page and "盲评任务" in page
    page = re.sub(r'value="[^"]{30,}"', "", page)  # tokens are random and might spell anything
    for secret in ("<mark", 'name="code"', "37.1", "5.00", "-7.50", "random", "0.371", "progress"):
        assert secret not in page, secret


def test_answers_are_recorded_and_the_next_task_comes(desk, home: Path) -> None:  # type: ignore[no-untyped-def]
    client = enter(desk, "li")
    page = take(client)
    sent = {**hidden(page), "csrf_token": token(page)}
    refused = client.post("/answer", data={**sent, "free": "Z99", "reason": "草稿", "action": "answer"})
    assert refused.status_code == 422 and "Z99" in refused.get_data(as_text=True)
    assert 'value="Z99"' in refused.get_data(as_text=True) and "草稿" in refused.get_data(as_text=True)
    assert client.post("/answer", data={**sent, "action": "undecidable"}).status_code == 422
    assert client.post("/answer", data={**sent, "action": "answer"}).status_code == 422
    done = client.post("/answer", data={**sent, "code": ["A51"], "action": "answer"}, follow_redirects=True)
    assert "某1号科技有限公司" in done.get_data(as_text=True)
    assert labels(ReviewJournal(home)).select("unit_id", "code").rows() == [("UNIT0", "A51")]
    again = client.post("/answer", data={**sent, "code": ["B21"], "action": "answer"})
    assert again.status_code == 409 and labels(ReviewJournal(home))["code"].to_list() == ["A51"]


def test_sets_free_codes_and_referrals(desk, home: Path) -> None:  # type: ignore[no-untyped-def]
    client = enter(desk, "li")
    sent = hidden(page := take(client))
    client.post(
        "/answer",
        data={**sent, "csrf_token": token(page), "code": "A51", "free": "b21、A52 某名称", "action": "answer"},
    )
    sent = hidden(page := page_of(client))
    client.post("/answer", data={**sent, "csrf_token": token(page), "action": "refer", "reason": "需查报表"})
    methodologist = enter(desk, "wang")
    page = page_of(methodologist, "/disputes")
    assert "需查报表" in page and "某1号科技有限公司" in page
    journal = ReviewJournal(home)
    (waiting,) = journal.waiting()
    form = {"csrf_token": token(page), "task_id": waiting["task_id"], "free": "A51", "reason": ""}
    assert methodologist.post("/disputes", data=form).status_code == 422
    assert methodologist.post("/disputes", data={**form, "reason": "主营机器人"}).status_code == 302
    assert labels(journal).select("unit_id", "code").rows() == [("UNIT1", "A51")], (
        "a set is a truth, not a label to lock"
    )


def test_rulings_on_gold_are_blind_and_stay_in_the_area(home: Path) -> None:
    journal, frame = ReviewJournal(home), units().head(1)
    journal.add_user("chen", PASSWORD, "methodologist", organisation="统计", area="440304")
    gold = frame.with_columns(
        group=pl.lit("A"), stratum=pl.lit("A:x"), inclusion_probability=pl.lit(0.5), confidence=pl.lit(0.9),
        random=pl.lit(0.1), scope_hash=pl.lit("s"), coder_1=pl.lit("li"), coder_2=pl.lit("nan"),
    )  # fmt: skip
    journal.record_gold("g", gold, "wang")
    for name, code in (("li", "A51"), ("nan", "B21")):
        user = journal.user(name)
        assert user is not None
        task = journal.take(user)
        assert task is not None and task.kind == "gold"
        journal.answer(user, Given(task.task_id, "code", (code,), task.text_hash, task.bundle))
    server = create_desk(home, home / "evidence")
    page = page_of(enter(server, "wang"), "/disputes")
    assert "某0号科技有限公司" in page and "<mark" not in page, "gold is judged without the model to the end"
    other = enter(server, "chen")
    page = page_of(other, "/disputes")
    assert "某0号科技有限公司" not in page
    form = {"csrf_token": token(page), "task_id": journal.waiting()[0]["task_id"], "free": "A51", "reason": "x"}
    assert other.post("/disputes", data=form).status_code == 422 and len(journal.waiting()) == 1


def test_a_changed_text_is_not_shown_as_if_nothing_had_happened(desk, home: Path) -> None:  # type: ignore[no-untyped-def]
    client = enter(desk, "li")
    take(client)
    write_evidence_file(home / "evidence", "r1", units().with_columns(text_hash=pl.lit("other")))
    page = page_of(client)
    assert "此任务已失效" in page and "某0号" not in page
    ReviewJournal(home).open_batch("r2", queue(units().with_columns(bundle=pl.lit("b2"))))
    assert "取一件任务" in page_of(client)


def test_a_district_user_sees_the_district(desk) -> None:  # type: ignore[no-untyped-def]
    client = enter(desk, "nan")
    assert "某0号科技有限公司" in take(client)
    sent = hidden(page := page_of(client))
    done = client.post(
        "/answer", data={**sent, "csrf_token": token(page), "code": "none", "action": "answer"}, follow_redirects=True
    )
    assert "取一件任务" in done.get_data(as_text=True)


def test_english_by_switch(desk) -> None:  # type: ignore[no-untyped-def]
    client = enter(desk, "li")
    take(client)
    page = page_of(client, "/?lang=en")
    assert "Undecidable" in page and "Business scope" in page and 'action="/answer?lang=en"' in page
    shown = re.sub(r"某\d号科技有限公司|" + re.escape(SCOPE.split("<")[0]), "", re.sub(r"<[^>]+>", " ", page))
    assert "无法判定" not in shown and "中文" in shown


def test_nothing_from_outside_and_no_script_at_all(desk) -> None:  # type: ignore[no-untyped-def]
    client = enter(desk, "li")
    answer = client.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "script-src" not in policy
    assert answer.headers["Cache-Control"] == "no-store" and answer.headers["X-Frame-Options"] == "DENY"
    page = take(client)
    assert "style=" not in page and "<script" not in page and "://" not in page
    for path in re.findall(r'(?:href|src)="(/assets/[^"]+)"', page):
        with client.get(path) as file:
            assert file.status_code == 200, path
    assert client.get("/assets/desk/..%2fapp.py").status_code == 404
    assert enter(desk, "li").get_cookie("aistat_desk") is not None


def test_forged_posts_and_errors_tell_nothing(
    desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:  # type: ignore[no-untyped-def]
    client = enter(desk, "li")
    for path in ("/take", "/answer", "/back", "/logout"):
        assert client.post(path).status_code == 400, "no token, no effect"

    def broken(*_: object) -> None:
        raise RuntimeError("某0号科技有限公司 broke")

    monkeypatch.setattr(EvidenceStore, "unit", broken)
    answer = client.post("/take", data={"csrf_token": token(page_of(client))}, follow_redirects=True)
    assert answer.status_code == 500 and "某0号" not in answer.get_data(as_text=True) and "某0号" not in caplog.text


def test_the_words_of_both_languages_match_and_are_used() -> None:
    import yaml

    folder = ROOT / "dashboard" / "desk"
    zh, en = (yaml.safe_load((folder / "text" / f"{x}.yaml").read_text()) for x in ("zh", "en"))
    assert list(zh) == list(en) and all(isinstance(v, str) and v for v in (*zh.values(), *en.values()))
    source = "\n".join(p.read_text() for p in (*folder.rglob("*.py"), *folder.rglob("*.html")))
    used = set(re.findall(r"""["'](\w+)["']""", source)) | set(re.findall(r"\bt\.(\w+)", source))
    built = ("kind_", "field_", "count_", "said_")
    assert [k for k in zh if k not in used and not k.startswith(built)] == []
    assert set(zh) <= set(desk_words("zh"))


# --- the officials' process ------------------------------------------------------------------------------------------


def test_the_officials_app_has_no_way_to_the_evidence(home: Path) -> None:
    imported: set[str] = set()
    for path in (ROOT / "dashboard").rglob("*.py"):
        if "desk" in path.relative_to(ROOT / "dashboard").parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
    assert not [m for m in imported if "evidence" in m or "desk" in m or "review_journal" in m]
    server = create_app(home).server
    rules = {rule.rule for rule in server.url_map.iter_rules()}
    assert not [r for r in rules if "evidence" in r or "task" in r or "review" in r or "disputes" in r]
    client = enter(server, "li")
    for path in ("/take", "/answer", "/disputes"):
        assert client.post(path).status_code in (400, 404, 405), path


def test_a_fresh_officials_process_never_loads_the_reader() -> None:
    import subprocess
    import sys

    code = (
        "import sys, pathlib, tempfile; from dashboard.app import create_app; create_app(pathlib.Path(tempfile.mkdtemp())); "
        "print([m for m in sys.modules if 'evidence' in m and m.startswith('warehouse') or m.startswith('dashboard.desk')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr[-500:]


# --- pure view -------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=60),
    st.lists(st.tuples(st.integers(-5, 70), st.integers(-5, 70), st.floats(-9, 9)), max_size=8),
)
def test_pieces_joined_are_the_text_and_carry_the_sum_of_their_spans(
    text: str, spans: list[tuple[int, int, float]]
) -> None:
    parts = [Contribution("model", "scope", "", a, b, v) for a, b, v in spans]
    cut = pieces(text, parts)
    assert "".join(p.text for p in cut) == text
    position = 0
    for piece in cut:
        covering = [v for a, b, v in spans if a <= position and position + len(piece.text) <= b]
        assert piece.value == pytest.approx(sum(covering), abs=1e-3)
        position += len(piece.text)


def test_a_blind_view_is_empty_of_suggestions(home: Path) -> None:
    doubt = EvidenceStore(home / "evidence").unit("r1", "UNIT0")
    assert choices(doubt, "zh", blind=True) == ()
    assert not [p for texts in marked_texts(doubt, blind=True).values() for p in texts if p.mark]
    assert [c.code for c in choices(doubt, "en", blind=False)] == ["A51", "B21", "none"]


def test_the_catalogue_offers_only_codes_an_answer_may_be() -> None:
    offered = {c.code for _, below in catalogue("zh") for c in below}
    assert len(offered) > 70 and all(known_code(code) for code in offered)
    assert not known_code("Z9") and known_code("none")
