"""The web application: one Flask server, one Dash app on it, read-only on the releases."""

import logging
from pathlib import Path

import dash
from flask import Flask, Response, render_template, request
from flask_compress import Compress
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from dashboard.auth import protect, signed_in
from dashboard.registry import BY_PATH
from dashboard.routes import blueprint
from dashboard.shell import base_layout, register_callbacks
from dashboard.text import words
from warehouse.access import may
from warehouse.journal import Journal

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=(), camera=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
LOG = logging.getLogger("aistat.dashboard")


def _page(code: int, title: str, text: str) -> tuple[str, int]:
    lang = "en" if request.args.get("lang") == "en" else "zh"
    return render_template("message.html", t=words(lang), lang=lang, title=title, text=text), code


def _refuse_forbidden_pages() -> tuple[str, int] | None:
    """A page a role may not see is a 403 already as a plain address, not only in the callback that draws it."""
    page = BY_PATH.get(request.path.rstrip("/") or "/")
    if page is None or request.method != "GET" or signed_in() is None:
        return None
    return None if may(signed_in(), page.permission) else _page(403, "forbidden", "forbidden_text")


def _same_site() -> tuple[str, int] | None:
    """Callbacks are answered only to pages of this very site."""
    if request.method != "POST" or not request.path.startswith("/_dash-"):
        return None
    origin = request.headers.get("Origin")
    if origin is not None and origin.split("://", 1)[-1] != request.host:
        return "cross-site request refused", 403
    return None


def _errors(server: Flask) -> None:
    @server.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response | tuple[str, int]:
        code = error.code or 500
        if request.path.startswith(("/api/", "/_dash")):
            return {"error": error.description or error.name}, code  # type: ignore[return-value]
        known = {403: ("forbidden", "forbidden_text"), 404: ("not_found", "not_found_text")}
        if isinstance(error, CSRFError):
            return _page(400, "error", "session_expired")
        return _page(code, *known.get(code, ("error", "error_text")))

    @server.errorhandler(Exception)
    def failure(error: Exception) -> Response | tuple[str, int]:
        # The type and place are logged, never the message: it could hold what it was computing on.
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
        LOG.error("%s at %s while serving %s", type(error).__name__, place, request.path)
        if request.path.startswith(("/api/", "/_dash")):
            return {"error": "internal error"}, 500  # type: ignore[return-value]
        return _page(500, "error", "error_text")


def _policy(app: dash.Dash) -> str:
    scripts = " ".join(f"'{h}'" if not h.startswith("'") else h for h in app.csp_hashes())
    return (
        f"default-src 'self'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
        "form-action 'self'; frame-ancestors 'none'"
    )


def create_app(root: Path) -> dash.Dash:
    """The app of one installation; ``root`` is its ``AISTAT_HOME``."""
    server = Flask("dashboard", template_folder="templates", root_path=str(Path(__file__).parent))
    server.config.update(AISTAT_HOME=root, MAX_CONTENT_LENGTH=2 << 20, COMPRESS_STREAMS=False)
    journal = Journal(root)
    server.extensions["journal"] = journal
    csrf = protect(server, journal, root)
    server.before_request(_refuse_forbidden_pages)
    server.before_request(_same_site)
    server.register_blueprint(blueprint)
    app = dash.Dash(
        "dashboard",
        server=server,
        assets_folder=str(Path(__file__).parent / "assets"),
        suppress_callback_exceptions=True,
        title=words("zh")["app"],
        update_title="",
        enable_mcp=False,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.layout = base_layout()
    register_callbacks(app)
    for view in list(server.view_functions):
        if "dash" in view or view.startswith("/"):
            csrf.exempt(server.view_functions[view])
    _errors(server)
    Compress(server)
    policy = _policy(app)

    @server.after_request
    def _headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers["Content-Security-Policy"] = policy
        if not request.path.startswith(("/assets/", "/_dash-component-suites/")):
            response.headers["Cache-Control"] = "no-store"
        return response

    return app
