"""A scheme as an SDMX-ML 2.1 codelist.

pysdmx writes the message; its codelists are flat and in one language, so names in Chinese, the language of the notes and
the parents are added to what it wrote. SDMX 2.1 has validity for a codelist but not for a code: a code's dates, status,
basis and legal basis are annotations. A code id may hold letters, digits, ``_``, ``-``, ``@`` and ``$`` only; where the official code
has other signs (``1.5.2``) the id replaces them by ``_`` and an annotation ``NOTATION`` keeps the official code.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from pysdmx.io.format import Format
from pysdmx.io.writer import write_sdmx
from pysdmx.model import Annotation, Codelist, Organisation
from pysdmx.model import Code as SdmxCode
from pysdmx.model.message import Header

from taxonomy.scheme import Code, Scheme, SchemeError

AGENCY: Final = "AISTAT"
PROSE: Final = ("INCLUDES", "EXCLUDES", "KEY_PRODUCTS", "LEGAL_BASIS")
_ROOT: Final = "http://www.sdmx.org/resources/sdmxml/schemas/v2_1/"
NAMESPACES: Final = {"mes": f"{_ROOT}message", "str": f"{_ROOT}structure", "com": f"{_ROOT}common"}
_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"
_NOT_AN_ID: Final = re.compile(r"[^A-Za-z0-9_@$\-]")


def code_id(code: str) -> str:
    """The SDMX id of an official code."""
    return _NOT_AN_ID.sub("_", code)


def codelist_id(scheme: Scheme) -> str:
    """The SDMX id of the codelist of a scheme: ``CL_AI_INDUSTRY``; versions share it."""
    return f"CL_{_NOT_AN_ID.sub('_', scheme.family or scheme.id).upper()}"


def _annotations(code: Code) -> Iterator[Annotation]:
    exact = {
        "NOTATION": code.code if code_id(code.code) != code.code else "",
        "LEVEL": code.level_name, "SEGMENT": code.segment, "STATUS": code.status, "BASIS": code.basis,
        "VALID_FROM": code.valid_from, "VALID_TO": code.valid_to, "SUCCESSORS": " ".join(code.successors),
    }  # fmt: skip
    prose = ("；".join(code.includes), "；".join(code.excludes), "；".join(code.key_products), code.legal_basis)
    for kind, text in exact.items():
        if text:
            yield Annotation(type=kind, title=text)
    for kind, text in zip(PROSE, prose, strict=True):
        if text:
            yield Annotation(type=kind, text=text)


def _moment(date: str) -> datetime | None:
    return datetime.fromisoformat(date).replace(tzinfo=UTC) if date else None


def _codelist(scheme: Scheme) -> Codelist:
    ids = [code_id(c.code) for c in scheme.codes]
    if len(set(ids)) != len(ids):
        raise SchemeError(f"{scheme.id}: two codes have one SDMX id; expected codes that differ in letters and digits")
    codes = [
        SdmxCode(
            id=code_id(c.code),
            name=c.english or c.name_zh,
            description=c.definition_en or c.definition_zh or None,
            annotations=tuple(_annotations(c)),
        )
        for c in scheme.codes
    ]
    return Codelist(
        id=codelist_id(scheme),
        name=scheme.name_en,
        agency=AGENCY,
        version=scheme.sdmx_version,
        is_final=scheme.status in ("in_force", "adopted"),
        valid_from=_moment(scheme.valid_from),
        valid_to=_moment(scheme.valid_to),
        items=codes,
        annotations=(
            Annotation(type="SCHEME", title=scheme.id),
            Annotation(type="VERSION", title=scheme.version),
            Annotation(type="STATUS", title=scheme.status),
        ),
    )


def _both_languages(element: ET.Element, tag: str, zh: str, en: str) -> None:
    """Set the texts of one tag; the Chinese one stands first, an empty one is left out."""
    found = element.find(f"com:{tag}", NAMESPACES)
    if found is None:
        return
    found.text, found.attrib[_LANG] = (zh, "zh") if zh else (en, "en")
    if zh and en:
        second = ET.Element(found.tag, {_LANG: "en"})
        second.text = en
        element.insert(list(element).index(found) + 1, second)


def _complete(element: ET.Element, code: Code) -> None:
    for annotation in element.iterfind("com:Annotations/com:Annotation", NAMESPACES):
        text = annotation.find("com:AnnotationText", NAMESPACES)
        if text is not None:
            text.attrib[_LANG] = "zh"
    _both_languages(element, "Name", code.name_zh, code.english)
    _both_languages(element, "Description", code.definition_zh, code.definition_en)
    if code.parent is not None:
        parent = ET.SubElement(element, f"{{{NAMESPACES['str']}}}Parent")
        ET.SubElement(parent, "Ref", {"id": code_id(code.parent)})


def codelist_xml(scheme: Scheme) -> str:
    """The SDMX-ML 2.1 structure message of a scheme, indented, with XML declaration; equal schemes give equal text.

    The message is dated by the first day the scheme is valid, not by the clock.

    Raises
    ------
    SchemeError
        If two codes of the scheme would have the same SDMX id.
    """
    prepared = _moment(scheme.valid_from) or datetime(2000, 1, 1, tzinfo=UTC)
    message = code_id(f"{codelist_id(scheme)}_{scheme.sdmx_version}")
    header = Header(id=message, prepared=prepared, sender=Organisation(id=AGENCY))
    written = write_sdmx([_codelist(scheme)], Format.STRUCTURE_SDMX_ML_2_1, header=header, prettyprint=False)
    for prefix, uri in NAMESPACES.items():
        ET.register_namespace(prefix, uri)
    root = ET.fromstring(str(written))  # noqa: S314 - our own text, written above
    codelist = root.find("mes:Structures/str:Codelists/str:Codelist", NAMESPACES)
    if codelist is None:
        raise SchemeError(f"{scheme.id}: the SDMX writer wrote no codelist")
    _both_languages(codelist, "Name", scheme.name_zh, scheme.name_en)
    for element, code in zip(codelist.iterfind("str:Code", NAMESPACES), scheme.codes, strict=True):
        _complete(element, code)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"
