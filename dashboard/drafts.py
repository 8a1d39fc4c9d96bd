"""Drafts as the app starts them; the writer is loaded only when one is asked for."""

from warehouse.read import Release


def section_titles(lang: str) -> list[str]:
    """Headings of the Art. 67 assessment."""
    from warehouse.report.template import load_template

    return [str(section["heading"]) for section in load_template("art67", lang)["sections"]]


def art67(release: Release, year: int, lang: str) -> bytes:
    """The Art. 67 draft as DOCX.

    Raises
    ------
    ValueError
        If the release holds nothing for the year.
    """
    from warehouse.report.docx_file import render_docx
    from warehouse.report.draft import draft_art67

    return render_docx(draft_art67(release, year, lang))
