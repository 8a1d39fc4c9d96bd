"""The desk's server: take a task, read the evidence, answer. Log-in as in the main app; 统计 users with ``review`` only."""

import logging
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from flask import Flask, Response, abort, redirect, render_template, request, send_from_directory
from flask_wtf.csrf import CSRFError
from jinja2 import ChoiceLoader, FileSystemLoader
from werkzeug.exceptions import HTTPException

from dashboard.auth import OPEN_PATHS, protect, signed_in
from dashboard.desk import view
from dashboard.text import LANGUAGES, words
from taxonomy.classifier.review import GOLD
from warehouse.access import User, may
from warehouse.catalogue import load_yaml
from warehouse.evidence import Doubt, EvidenceStore, NoEvidence
from warehouse.review_journal import ReviewJournal
from warehouse.review_results import status
from warehouse.review_rules import Given, ReviewError, StaleAnswer, Task, may_review, split_codes

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=(), camera=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
CITY_TIME = ZoneInfo("Asia/Shanghai")
LOG = logging.getLogger("aistat.desk")


@cache
def desk_words(lang: str) -> Mapping[str, str]:
    """Words of the desk over those of the app."""
    own = yaml.safe_load((HERE / "text" / f"{lang}.yaml").read_text(encoding="utf-8"))
    return {**words(lang), **own}


def _lang() -> str:
    lang = request.args.get("lang", "zh")
    return lang if lang in LANGUAGES else "zh"


def _reviewer() -> User:
    user = signed_in()
    if user is None or not may_review(user):
        abort(403)
    return user


class Desk:
    """The pages; one per server."""

    def __init__(self, journal: ReviewJournal, evidence: EvidenceStore, *, is_demo: bool) -> None:
        self._journal = journal
        self._evidence = evidence
        self._is_demo = is_demo
        self._minutes = int(load_yaml("review")["lock_minutes"])

    def _page(self, template: str, user: User, **values: Any) -> str:
        lang = _lang()
        return render_template(
            f"desk/{template}.html", t=desk_words(lang), lang=lang, user=user, demo=self._is_demo,
            query="?lang=en" if lang == "en" else "", adjudicator=may(user, "adjudicate"),
            batch=self._journal.current_batch() or "—", **values,
        )  # fmt: skip

    def home(self) -> str:
        """The task this person holds, or where to take one."""
        user = _reviewer()
        task = self._journal.held(user)
        return self._idle(user) if task is None else self._task(user, task)

    def _idle(self, user: User, message: str = "") -> str:
        return self._page("idle", user, message=message, counts=self._counts())

    def _counts(self) -> dict[str, int]:
        found = status(self._journal)
        return {name: int(found[name].sum()) for name in ("tasks", "open", "waiting", "settled")}

    def _doubt(self, unit_id: str) -> Doubt | None:
        try:
            return self._evidence.unit(self._journal.current_batch() or "", unit_id)
        except NoEvidence:
            return None

    def _task(self, user: User, task: Task, message: str = "", form: Mapping[str, Any] | None = None) -> str:
        doubt = self._doubt(task.unit_id)
        self._journal.append(user.name, "evidence_viewed", {"task": task.task_id})
        if doubt is None or doubt.text_hash != task.text_hash:
            return self._page("gone", user, task=task)
        lang = _lang()
        until = datetime.fromisoformat(task.expires_at).astimezone(CITY_TIME).strftime("%H:%M")
        return self._page(
            "task", user, task=task, doubt=doubt, message=message, form=form or {}, until=until,
            texts=view.marked_texts(doubt, blind=task.blind), choices=view.choices(doubt, lang, blind=task.blind),
            contributions=[] if task.blind else view.ordered(doubt.contributions),
            declared=view.declared(doubt.gbt_code, lang), catalogue=view.catalogue(lang), counts=self._counts(),
            leaf=view.choices(doubt, lang, blind=False)[0] if doubt.candidates else None,
        )  # fmt: skip

    def take(self) -> Any:
        """Lock the next task to this person."""
        user = _reviewer()
        if self._journal.take(user, self._minutes) is None:
            return self._idle(user, desk_words(_lang())["nothing_left"])
        return _home()

    def back(self) -> Any:
        """Unlock a task without an answer."""
        user = _reviewer()
        try:
            self._journal.give_back(user, request.form.get("task_id", ""))
        except StaleAnswer as error:
            return self._idle(user, _one_language(error)), 409
        return _home()

    def answer(self) -> Any:
        """Record an answer and take the next task; refused answers come back with the reason and what was filled in."""
        user = _reviewer()
        try:
            self._journal.answer(user, _given())
        except StaleAnswer as error:
            return self._idle(user, _one_language(error)), 409
        except ReviewError as error:
            task = self._journal.held(user)
            if task is None:
                return self._idle(user, _one_language(error)), 409
            form = {"codes": request.form.getlist("code"), **{k: request.form.get(k, "") for k in ("free", "reason")}}
            return self._task(user, task, _one_language(error), form), 422
        self._journal.take(user, self._minutes)
        return _home()

    def disputes(self, message: str = "") -> str:
        """Tasks on which coders differ, or that were referred: for methodologists."""
        user = _reviewer()
        if not may(user, "adjudicate"):
            abort(403)
        waiting = []
        for row in self._journal.waiting():
            if user.area not in ("city", row["area"]):
                continue
            doubt = self._doubt(row["unit_id"])
            texts = None if doubt is None else view.marked_texts(doubt, blind=row["kind"] == GOLD)
            waiting.append(
                {**row, "doubt": doubt, "texts": texts, "mine": user.name in {a["user"] for a in row["answers"]}}
            )
            self._journal.append(user.name, "evidence_viewed", {"task": row["task_id"]})
            if len(waiting) == 10:
                break
        return self._page("disputes", user, waiting=waiting, message=message, catalogue=view.catalogue(_lang()))

    def adjudicate(self) -> Any:
        """Record a ruling."""
        user = _reviewer()
        if not may(user, "adjudicate"):
            abort(403)
        form = request.form
        try:
            self._journal.adjudicate(
                user, form.get("task_id", ""), split_codes(form.get("free", "")), form.get("reason", "")
            )
        except ReviewError as error:
            return self.disputes(_one_language(error)), 422
        return redirect("/disputes" + ("?lang=en" if _lang() == "en" else ""))


def _home() -> Any:
    return redirect("/" + ("?lang=en" if _lang() == "en" else ""))


def _given() -> Given:
    form = request.form
    action = form.get("action", "answer")
    codes = [] if action == "undecidable" else [*form.getlist("code"), *split_codes(form.get("free", ""))]
    distinct = tuple(dict.fromkeys(codes))
    kind = action if action in ("undecidable", "refer") else ("set" if len(distinct) > 1 else "code")
    return Given(
        form.get("task_id", ""),
        kind,
        distinct,
        form.get("text_hash", ""),
        form.get("bundle", ""),
        form.get("reason", ""),
    )


def _one_language(error: ReviewError) -> str:
    """The half of a message that the reader reads."""
    zh, _, en = str(error).partition(" / ")
    return en if _lang() == "en" and en else zh


def _message(code: int, title: str, text: str) -> tuple[str, int]:
    lang = _lang()
    return render_template("message.html", t=desk_words(lang), lang=lang, title=title, text=text), code


def _errors(server: Flask) -> None:
    @server.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[str, int]:
        if isinstance(error, CSRFError):
            return _message(400, "error", "session_expired")
        known = {403: ("forbidden", "desk_forbidden"), 404: ("not_found", "not_found_text")}
        return _message(error.code or 500, *known.get(error.code or 500, ("error", "error_text")))

    @server.errorhandler(Exception)
    def failure(error: Exception) -> tuple[str, int]:
        # Never the message: it could hold a unit's text.
        LOG.error("%s while serving %s", type(error).__name__, request.path)
        return _message(500, "error", "error_text")


def _refuse_others() -> None:
    """Whoever is logged in but may not review gets 403 on every page."""
    is_open = request.path == "/logout" or any(
        request.path == p or request.path.startswith("/assets/") for p in OPEN_PATHS
    )
    if not is_open and signed_in() is not None and not may_review(signed_in()):
        abort(403)


def create_desk(root: Path, evidence: Path) -> Flask:
    """The desk of one installation: ``root`` its ``AISTAT_HOME``, ``evidence`` the folder of evidence files."""
    assets = HERE.parent / "assets"
    server = Flask("dashboard.desk", root_path=str(HERE), static_folder=str(assets), static_url_path="/assets")
    loader = ChoiceLoader([FileSystemLoader(HERE / "templates"), FileSystemLoader(HERE.parent / "templates")])
    server.jinja_loader = loader  # type: ignore[assignment]
    server.config.update(AISTAT_HOME=root, MAX_CONTENT_LENGTH=64 << 10)
    journal = ReviewJournal(root)
    protect(server, journal, root)
    # Its own cookie: cookies do not know ports, and logging out here must not log out there.
    server.config["SESSION_COOKIE_NAME"] = "aistat_desk"
    server.before_request(_refuse_others)
    desk = Desk(journal, EvidenceStore(evidence), is_demo=(root / "demo.json").exists())
    server.add_url_rule("/", "home", desk.home)
    server.add_url_rule("/take", "take", desk.take, methods=["POST"])
    server.add_url_rule("/back", "back", desk.back, methods=["POST"])
    server.add_url_rule("/answer", "answer", desk.answer, methods=["POST"])
    server.add_url_rule("/disputes", "disputes", desk.disputes)
    server.add_url_rule("/disputes", "adjudicate", desk.adjudicate, methods=["POST"])
    server.add_url_rule("/assets/desk/<name>", "style", lambda name: send_from_directory(HERE / "static", name))
    server.add_url_rule("/api/v1/health", "health", lambda: {"status": "ok"})
    _errors(server)

    @server.after_request
    def _headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers[name] = value
        return response

    return server
