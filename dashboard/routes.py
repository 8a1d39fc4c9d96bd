"""Downloads and the machine interface: the same selections, the same files; each download is audited."""

from io import BytesIO
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, current_app, jsonify, request, send_file

from dashboard import drafts
from dashboard.auth import signed_in
from dashboard.text import LANGUAGES
from warehouse.access import Forbidden, User, require
from warehouse.cube import Selection, SelectionError
from warehouse.export import ExportError, export, export_selection, exporters
from warehouse.export.yearbook import YearbookError, build_yearbook, years
from warehouse.journal import Journal
from warehouse.read import NoRelease, Release, open_current

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
blueprint = Blueprint("routes", __name__)


def _allowed(permission: str) -> User:
    try:
        return require(signed_in(), permission)
    except Forbidden:
        abort(403)


def _release() -> Release:
    try:
        return open_current(Path(current_app.config["AISTAT_HOME"]))
    except NoRelease:
        abort(503, "nothing has been released yet")


def _lang() -> str:
    lang = request.args.get("lang", "zh")
    return lang if lang in LANGUAGES else "zh"


def _note(user: User, action: str, **detail: Any) -> None:
    journal: Journal = current_app.extensions["journal"]
    journal.append(user.name, action, {"release": _release().info.release_id, **detail})


def _file(content: bytes, name: str, media_type: str) -> Response:
    return send_file(BytesIO(content), media_type, as_attachment=True, download_name=name, max_age=0)


def _format_of(extension: str) -> str:
    found = [name for name, exporter in exporters().items() if extension in (name, exporter.extension)]
    if not found:
        abort(404)
    return found[0]


@blueprint.get("/api/v1/health")
def health() -> Response | tuple[Response, int]:
    """Whether there is a release to serve, and which; open to everybody, says nothing else."""
    try:
        info = open_current(Path(current_app.config["AISTAT_HOME"])).info
    except NoRelease:
        return jsonify(status="empty", release=None, vintage=None), 503
    return jsonify(status="ok", release=info.release_id, vintage=info.vintage, simulated=info.is_synthetic)


@blueprint.get("/api/v1/datasets")
def datasets() -> Response:
    """The datasets of the release with their dimensions, indicators and periods."""
    _allowed("export")
    release = _release()
    return jsonify(
        release=release.info.release_id,
        vintage=release.info.vintage,
        datasets=[
            {
                "id": d.id, "title_zh": d.title_zh, "title_en": d.title_en, "dimensions": list(d.dimension_ids),
                "indicators": [i.id for i in release.indicators(d.id)], "periods": release.periods(d.id),
                "simulated": release.is_synthetic(d.id), "formats": list(exporters()),
            }
            for d in release.datasets()
        ],
    )  # fmt: skip


@blueprint.get("/api/v1/datasets/<dataset_id>")
def dataset(dataset_id: str) -> Response:
    """A whole dataset, or one period of it, in a format."""
    user = _allowed("export")
    fmt = request.args.get("format", "json-stat")
    period = request.args.get("period")
    return _dataset(user, dataset_id, fmt, period)


@blueprint.get("/export/<dataset_id>.<extension>")
def export_dataset(dataset_id: str, extension: str) -> Response:
    """A download of a dataset, or (``selection``) of exactly what a block shows."""
    user = _allowed("export")
    fmt = _format_of(extension)
    if dataset_id != "selection":
        return _dataset(user, dataset_id, fmt, request.args.get("period"))
    try:
        made = export_selection(_release(), Selection.from_query(request.query_string.decode()), fmt)
    except (SelectionError, ExportError) as error:
        abort(400, str(error))
    _note(user, "export", selection=request.query_string.decode()[:500], format=fmt)
    return _file(made.content, made.filename, made.media_type)


def _dataset(user: User, dataset_id: str, fmt: str, period: str | None) -> Response:
    try:
        made = export(_release(), dataset_id, fmt, period, _lang())
    except ExportError as error:
        abort(404 if "no dataset" in str(error) else 400, str(error))
    _note(user, "export", dataset=dataset_id, format=fmt)
    return _file(made.content, made.filename, made.media_type)


@blueprint.get("/export/yearbook/<int:year>.xlsx")
def yearbook(year: int) -> Response:
    """The yearbook of a year."""
    user = _allowed("export")
    release = _release()
    if year not in years(release):
        abort(404, f"no yearbook for {year}")
    try:
        content = build_yearbook(release, year, _lang())
    except YearbookError as error:
        abort(400, str(error))
    _note(user, "yearbook", year=year)
    prefix = "模拟数据_" if release.info.is_synthetic else ""
    return _file(content, f"{prefix}人工智能产业统计年鉴_{year}_{release.info.release_id}.xlsx", XLSX)


@blueprint.get("/draft/art67/<int:year>.docx")
def art67(year: int) -> Response:
    """The Art. 67 draft of a year."""
    user = _allowed("draft")
    release = _release()
    try:
        content = drafts.art67(release, year, _lang())
    except ValueError as error:
        abort(404, str(error))
    _note(user, "draft_art67", year=year)
    prefix = "模拟数据_" if release.info.is_synthetic else ""
    return _file(content, f"{prefix}人工智能影响评估草稿_{year}_{release.info.release_id}.docx", DOCX)
