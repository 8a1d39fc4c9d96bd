"""The web application below its pages: log-in, roles, forged requests, exports, what a payload may hold."""

import json
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest
from flask.testing import FlaskClient
from openpyxl import load_workbook

from dashboard.app import create_app
from dashboard.registry import PAGES
from dashboard.text import words
from tests.e2e.test_pipeline import hidden_values
from warehouse.access import User, may
from warehouse.journal import Journal
from warehouse.read import open_current

ROLES = ("official", "analyst", "admin")
PASSWORD = "a long password"


@pytest.fixture(scope="module")
def served_home(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The released demo city with a journal of its own."""
    home = tmp_path_factory.mktemp("served")
    for name in ("releases", "work.duckdb", "demo.json"):
        (home / name).symlink_to(demo_home / name)
    journal = Journal(home)
    for role in ROLES:
        journal.add_user(role, PASSWORD, role)
    return home


@pytest.fixture(scope="module")
def app(served_home: Path) -> object:
    return create_app(served_home)


def token(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    return found[1]


def log_in(client: FlaskClient, name: str, password: str = PASSWORD) -> int:
    page = client.get("/login").get_data(as_text=True)
    data = {"name": name, "password": password, "csrf_token": token(page)}
    return client.post("/login", data=data).status_code


@pytest.fixture(params=ROLES)
def client_as(app, request: pytest.FixtureRequest) -> Iterator[tuple[FlaskClient, str]]:  # type: ignore[no-untyped-def]
    with app.server.test_client() as client:
        assert log_in(client, request.param) == 302
        yield client, request.param


@pytest.fixture()
def anonymous(app) -> FlaskClient:  # type: ignore[no-untyped-def]
    return app.server.test_client()


@pytest.fixture()
def analyst(app) -> FlaskClient:  # type: ignore[no-untyped-def]
    client = app.server.test_client()
    assert log_in(client, "analyst") == 302
    return client


def draw(client: FlaskClient, path: str, search: str = "", **headers: str):  # type: ignore[no-untyped-def]
    """The POST a browser makes to have a page drawn."""
    body = {
        "output": "page.children",
        "outputs": {"id": "page", "property": "children"},
        "inputs": [
            {"id": "url", "property": "pathname", "value": path},
            {"id": "url", "property": "search", "value": search},
        ],
        "changedPropIds": ["url.pathname"],
    }
    return client.post("/_dash-update-component", json=body, headers=headers)


def test_words_of_both_languages_have_the_same_keys() -> None:
    assert set(words("zh")) == set(words("en"))
    assert all(isinstance(text, str) and text for lang in ("zh", "en") for text in words(lang).values())


def test_every_word_is_used() -> None:
    code = "\n".join(p.read_text() for p in (Path(__file__).parents[2] / "dashboard").rglob("*.py"))
    code += "\n".join(p.read_text() for p in (Path(__file__).parents[2] / "dashboard").rglob("*.html"))
    built = ("kind_", "reliability_", "route_", "state_", "level_", "coverage_", "col_", "page_", "nav_")
    built += (
        "part_",
        "demo_",
        "climate_",
        "sa_",
        "lamp_",
        "scheme_",
        "backtest_",
        "revision_",
        "ess_",
        "population_",
        "var_",
    )
    used = set(re.findall(r"""["'](\w+)["']""", code)) | set(re.findall(r"\bt\.(\w+)", code))
    unused = [k for k in words("zh") if k not in used and not k.startswith(built)]
    assert unused == []


def test_health_is_open_and_says_little(anonymous: FlaskClient, served_home: Path) -> None:
    answer = anonymous.get("/api/v1/health")
    assert answer.status_code == 200
    info = open_current(served_home).info
    assert answer.get_json() == {
        "status": "ok", "release": info.release_id, "vintage": info.vintage, "simulated": True,
    }  # fmt: skip


def test_nobody_sees_anything_without_logging_in(anonymous: FlaskClient) -> None:
    for page in PAGES:
        answer = anonymous.get(page.path)
        assert answer.status_code == 302 and answer.location.startswith("/login?next=")
    assert draw(anonymous, "/").status_code == 401
    for path in ("/api/v1/datasets", "/export/core_leaf_year.csv", "/draft/art67/2025.docx", "/_dash-layout"):
        assert anonymous.get(path).status_code == 401


def test_wrong_password_and_missing_token(anonymous: FlaskClient) -> None:
    assert log_in(anonymous, "official", "wrong password") == 401
    assert anonymous.post("/login", data={"name": "official", "password": PASSWORD}).status_code == 400


def test_log_in_leads_only_to_this_site(app) -> None:  # type: ignore[no-untyped-def]
    for target, expected in (
        ("/district?year=2024", "/district?year=2024"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
    ):
        client = app.server.test_client()
        page = client.get("/login").get_data(as_text=True)
        data = {"name": "official", "password": PASSWORD, "csrf_token": token(page)}
        assert client.post("/login", query_string={"next": target}, data=data).location == expected


def test_log_out_needs_the_token_and_ends_the_session(analyst: FlaskClient) -> None:
    assert analyst.post("/logout").status_code == 400
    page = json.dumps(draw(analyst, "/").get_json(), ensure_ascii=False)
    value = re.search(r'"name": "csrf_token", "type": "hidden", "value": "([^"]+)"', page) or re.search(
        r'"value": "([^"]{40,})"', page
    )
    assert value
    assert analyst.post("/logout", data={"csrf_token": value[1]}).status_code == 302
    assert draw(analyst, "/").status_code == 401


def test_each_role_gets_its_pages_and_403_below_the_callback(client_as: tuple[FlaskClient, str]) -> None:
    client, role = client_as
    user = User(role, role)
    refused = []
    for page in PAGES:
        allowed = may(user, page.permission)
        assert client.get(page.path).status_code == (200 if allowed else 403), page.path
        for path in (page.path, page.path + "/", page.path.upper() if page.path != "/" else "/"):
            answer = draw(client, path)
            if not allowed and path.rstrip("/") == page.path:
                assert answer.status_code == 403, (role, path)
                refused.append(path)
        if allowed:
            assert answer is not None and draw(client, page.path, "?lang=en").status_code == 200
    assert refused, "every role lacks at least one page"
    for path, permission in (
        ("/export/core_leaf_year.csv", "export"), ("/export/yearbook/2025.xlsx", "export"),
        ("/draft/art67/2025.docx", "draft"), ("/api/v1/datasets", "export"),
    ):  # fmt: skip
        assert client.get(path).status_code == (200 if may(user, permission) else 403), (role, path)


def test_a_forged_post_from_another_site_is_refused(analyst: FlaskClient) -> None:
    assert draw(analyst, "/", Origin="https://evil.example").status_code == 403
    assert draw(analyst, "/", Origin="http://localhost").status_code == 200


def test_forged_values_are_harmless(analyst: FlaskClient) -> None:
    for search in (
        "?year=2025'%20OR%201=1",
        "?indicator=../../work",
        "?branch=%00",
        "?year=" + "9" * 4000,
        "?lang=xx",
        "?code=<script>",
    ):
        for path in ("/", "/structure", "/district", "/filings", "/catalogue"):
            assert draw(analyst, path, search).status_code == 200, (path, search)
    assert draw(analyst, "/../work.duckdb").status_code == 200  # no such page, and says so
    body = {"output": "page.children", "inputs": "nonsense"}
    assert analyst.post("/_dash-update-component", json=body).status_code in (400, 500)


def test_no_withheld_value_stands_in_any_page_or_export(analyst: FlaskClient, served_home: Path) -> None:
    hidden = {v for v in hidden_values(served_home) if float(v) >= 1_000_000}
    assert len(hidden) > 50
    release = open_current(served_home)
    shown = {v[:-3] for v in hidden} | hidden
    texts = []
    for page in PAGES:
        if page.path != "/admin":
            for search in (
                "",
                "?lang=en",
                "?indicator=operating_revenue",
                "?indicator=ai_revenue&year=2023",
                "?measure=yoy",
            ):
                texts.append((page.path + search, draw(analyst, page.path, search).get_data(as_text=True)))
    for dataset in release.datasets():
        for extension in ("csv", "json"):
            answer = analyst.get(f"/export/{dataset.id}.{extension}")
            assert answer.status_code == 200
            texts.append((dataset.id, answer.get_data(as_text=True)))
    for where, text in texts:
        numbers = set(re.findall(r"\d{7,}(?:\.\d\d)?", text))
        assert not numbers & shown, where


def test_synthetic_figures_say_so_everywhere_and_real_lists_never(analyst: FlaskClient) -> None:
    for page in PAGES:
        if page.path == "/admin":
            continue
        payload = draw(analyst, page.path).get_data(as_text=True)
        text = json.loads(payload)
        assert "模拟数据" in json.dumps(text, ensure_ascii=False), page.path
    csv_text = analyst.get("/export/core_leaf_year.csv").get_data().decode("utf-8-sig")
    assert all("模拟数据" in line for line in csv_text.splitlines()[1:])
    filings = analyst.get("/export/filings_district_month.csv").get_data().decode("utf-8-sig")
    assert "模拟数据" not in filings and "真实公开数据" in filings


def test_yearbook_and_selection_downloads(analyst: FlaskClient, served_home: Path) -> None:
    answer = analyst.get("/export/yearbook/2025.xlsx")
    book = load_workbook(BytesIO(answer.get_data()), read_only=True)
    assert any("数据" in name for name in book.sheetnames)
    book.close()
    query = "dataset=core_branch_district&indicators=ai_enterprises&f.district=440305&periods=latest:1&lang=zh"
    answer = analyst.get(f"/export/selection.csv?{query}")
    rows = answer.get_data().decode("utf-8-sig").splitlines()
    released = (
        open_current(served_home)
        .cube_frame("core_branch_district")
        .filter(
            (pl.col("indicator") == "ai_enterprises") & (pl.col("district") == "440305") & (pl.col("period") == "2025")
        )
    )
    assert len(rows) - 1 == released.height
    assert analyst.get("/export/selection.csv?dataset=work").status_code == 400
    assert analyst.get("/export/yearbook/1999.xlsx").status_code == 404
    assert analyst.get("/export/nothing.csv").status_code == 404
    journal = Journal(served_home)
    actions = [e["action"] for e in journal.audit()]
    assert "yearbook" in actions and "export" in actions and journal.audit_is_intact()


def test_headers_close_the_usual_doors(analyst: FlaskClient) -> None:
    answer = analyst.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "unsafe-eval" not in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Cache-Control"] == "no-store"
    cookie = analyst.get_cookie("aistat_session")
    assert cookie is not None and cookie.http_only


def test_an_error_page_tells_nothing(
    app, analyst: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:  # type: ignore[no-untyped-def]
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("unit 91440300708461136T earned 123456")

    monkeypatch.setattr("dashboard.routes.export", broken)
    answer = analyst.get("/export/core_leaf_year.csv")
    assert answer.status_code == 500
    assert "91440300" not in answer.get_data(as_text=True) and "91440300" not in caplog.text
    assert "RuntimeError" in caplog.text


def test_the_web_process_cannot_reach_unit_level_tables(served_home: Path) -> None:
    import ast

    root = Path(__file__).parents[2] / "dashboard"
    imported = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module)
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
    assert not {
        m
        for m in imported
        if m.startswith(("etl", "duckdb", "warehouse.write", "warehouse.connect", "warehouse.release"))
    }
    release = open_current(served_home)
    with pytest.raises(LookupError):
        release.table("process_enterprise__unit_year")
    with pytest.raises(Exception, match=r"(?i)disabled|permission|not allowed"):
        release._connection.execute(f"ATTACH '{served_home / 'work.duckdb'}' AS w")


def test_the_app_follows_a_new_release_without_restart(app, demo_home: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    import shutil

    home = tmp_path / "home"
    shutil.copytree(demo_home / "releases", home / "releases")
    Journal(home).add_user("analyst", PASSWORD, "analyst")
    client = create_app(home).server.test_client()
    assert log_in(client, "analyst") == 302
    first = client.get("/api/v1/health").get_json()["release"]
    assert draw(client, "/").status_code == 200
    shutil.copytree(home / "releases" / first, home / "releases" / "r20990101-copy")
    (home / "releases" / "current").write_text("r20990101-copy")
    assert draw(client, "/").status_code == 200
    assert open_current(home)._folder.name == "r20990101-copy"
