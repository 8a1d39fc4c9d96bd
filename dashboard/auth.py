"""Log-in, sessions with idle and absolute limits, tokens against forged requests."""

import secrets
import time
from pathlib import Path
from urllib.parse import urlencode

from flask import Flask, jsonify, redirect, render_template, request, session
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from flask_wtf.csrf import CSRFProtect
from werkzeug.wrappers import Response

from dashboard.text import LANGUAGES, words
from warehouse.access import User
from warehouse.journal import Journal

IDLE_SECONDS = 30 * 60
ABSOLUTE_SECONDS = 12 * 3600
OPEN_PATHS = ("/login", "/api/v1/health", "/assets/")


class SignedIn(UserMixin):  # type: ignore[misc]
    """A journal user as Flask-Login wants one."""

    def __init__(self, user: User) -> None:
        self.user = user

    def get_id(self) -> str:
        """The name is the id."""
        return self.user.name


def signed_in() -> User | None:
    """Who asks, if anybody is logged in."""
    return current_user.user if current_user and current_user.is_authenticated else None


def secret_key(root: Path) -> bytes:
    """The session key of this installation: made once, mode 0600, never in the repository."""
    path = root / "secret" / "session.key"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return path.read_bytes()


def _expired() -> bool:
    now = time.time()
    started, seen = session.get("started", 0.0), session.get("seen", 0.0)
    return now - started > ABSOLUTE_SECONDS or now - seen > IDLE_SECONDS


def _is_open(path: str) -> bool:
    return any(path == p or (p.endswith("/") and path.startswith(p)) for p in OPEN_PATHS)


def _guard() -> Response | tuple[str, int] | None:
    """Before each request: only the log-in page, the health answer and static files are open."""
    if _is_open(request.path) or request.path.startswith("/_dash-component-suites/"):
        return None
    if current_user.is_authenticated:
        if not _expired():
            session["seen"] = time.time()
            return None
        logout_user()
        session.clear()
    if request.method == "GET" and not request.path.startswith(("/_dash", "/api/", "/export/", "/draft/")):
        target = request.full_path.rstrip("?")
        return redirect(f"/login?{urlencode({'next': target})}")  # type: ignore[return-value]
    return jsonify(error="log in first"), 401  # type: ignore[return-value]


def _safe_target(target: str | None) -> str:
    """Only addresses of this site."""
    if target and target.startswith("/") and not target.startswith(("//", "/\\")):
        return target
    return "/"


def _login_page(journal: Journal) -> Response | str | tuple[str, int]:
    lang = request.args.get("lang", "zh")
    lang = lang if lang in LANGUAGES else "zh"
    failed = False
    if request.method == "POST":
        user = journal.log_in(request.form.get("name", ""), request.form.get("password", ""))
        if user is not None:
            session.clear()
            session["started"] = session["seen"] = time.time()
            login_user(SignedIn(user))
            return redirect(_safe_target(request.args.get("next")))  # type: ignore[return-value]
        failed = True
    page = render_template(
        "login.html", t=words(lang), lang=lang, failed=failed, next=request.args.get("next", "/"),
        demo=journal.has_demo_accounts(),
    )  # fmt: skip
    return (page, 401) if failed else page


def protect(server: Flask, journal: Journal, root: Path) -> CSRFProtect:
    """Put log-in and session rules in front of a server."""
    server.secret_key = secret_key(root)
    server.config.update(
        SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_NAME="aistat_session",
        WTF_CSRF_TIME_LIMIT=None,
    )  # fmt: skip
    manager = LoginManager(server)
    manager.session_protection = "strong"

    @manager.user_loader  # type: ignore[untyped-decorator]
    def _load(name: str) -> SignedIn | None:
        user = journal.user(name)
        return SignedIn(user) if user else None

    server.before_request(_guard)

    @server.route("/login", methods=["GET", "POST"])
    def login() -> Response | str | tuple[str, int]:
        return _login_page(journal)

    @server.route("/logout", methods=["POST"])
    def logout() -> Response:
        user = signed_in()
        if user is not None:
            journal.append(user.name, "log_out")
        logout_user()
        session.clear()
        return redirect("/login")  # type: ignore[return-value]

    return CSRFProtect(server)
