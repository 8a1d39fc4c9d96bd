"""A scheme as linked data: SKOS concepts with the XKOS terms of statistical classifications, in Turtle.

Includes are ``xkos:coreContentNote``, excludes ``xkos:exclusionNote``, key products ``skos:example``, one literal each.
What neither vocabulary has (coverage, resolution, basis, share) stands in a vocabulary of our own, ``ai:``.
"""

from collections.abc import Iterable
from typing import Final

from rdflib import RDF, BNode, Graph, Literal, Namespace, URIRef
from rdflib.namespace import DCTERMS, SKOS, XSD

from taxonomy.concordance import Concordance, list_concordances, load_concordance
from taxonomy.correspondence import Correspondence, correspondence, list_correspondences
from taxonomy.scheme import Code, Scheme
from taxonomy.versions import families

BASE: Final = "urn:aistat:classification:"
XKOS: Final = Namespace("http://rdf-vocabulary.ddialliance.org/xkos#")
AI: Final = Namespace("urn:aistat:vocabulary:")


def concept_uri(base: str, scheme: Scheme, code: str) -> URIRef:
    """The address of a code: base, scheme, code."""
    return URIRef(f"{base}{scheme.id}/{code}")


def _texts(graph: Graph, subject: URIRef, predicate: URIRef, zh: Iterable[str], en: Iterable[str] = ()) -> None:
    for lang, texts in (("zh", zh), ("en", en)):
        for text in texts:
            if text:
                graph.add((subject, predicate, Literal(text, lang=lang)))


def _add_concept(graph: Graph, base: str, scheme: Scheme, code: Code) -> None:
    uri, home = concept_uri(base, scheme, code.code), URIRef(base + scheme.id)
    graph.add((uri, RDF.type, SKOS.Concept))
    graph.add((uri, SKOS.inScheme, home))
    graph.add((uri, SKOS.notation, Literal(code.code)))
    _texts(graph, uri, SKOS.prefLabel, [code.name_zh], [code.english])
    _texts(graph, uri, SKOS.definition, [code.definition_zh], [code.definition_en])
    _texts(graph, uri, XKOS.coreContentNote, code.includes)
    _texts(graph, uri, XKOS.exclusionNote, code.excludes)
    _texts(graph, uri, SKOS.example, code.key_products)
    _texts(graph, uri, DCTERMS.source, [code.legal_basis])
    graph.add((uri, DCTERMS.valid, Literal(f"{code.valid_from}/{code.valid_to or '..'}")))
    for predicate, text in ((AI.basis, code.basis), (AI.status, code.status), (AI.segment, code.segment)):
        if text:
            graph.add((uri, predicate, Literal(text)))
    if code.parent is None:
        graph.add((uri, SKOS.topConceptOf, home))
        graph.add((home, SKOS.hasTopConcept, uri))
    else:
        parent = concept_uri(base, scheme, code.parent)
        graph.add((uri, SKOS.broader, parent))
        graph.add((parent, SKOS.narrower, uri))
    for successor in code.successors:
        if successor in scheme:
            graph.add((uri, DCTERMS.isReplacedBy, concept_uri(base, scheme, successor)))


def _add_levels(graph: Graph, base: str, scheme: Scheme) -> None:
    """One level a depth; names that share a depth (district, functional district) stand on it together."""
    home = URIRef(base + scheme.id)
    depths = sorted({level.level for level in scheme.levels})
    uris = [URIRef(f"{base}{scheme.id}/level/{depth}") for depth in depths]
    graph.add((home, XKOS.numberOfLevels, Literal(len(depths), datatype=XSD.positiveInteger)))
    cells = [BNode(f"levels{depth}") for depth in depths]
    if cells:
        graph.add((home, XKOS.levels, cells[0]))
    for i, (depth, uri, cell) in enumerate(zip(depths, uris, cells, strict=True)):
        graph.add((cell, RDF.first, uri))
        graph.add((cell, RDF.rest, cells[i + 1] if i + 1 < len(cells) else RDF.nil))
        graph.add((uri, RDF.type, XKOS.ClassificationLevel))
        graph.add((uri, XKOS.depth, Literal(depth, datatype=XSD.positiveInteger)))
        named = [level for level in scheme.levels if level.level == depth]
        _texts(graph, uri, SKOS.prefLabel, ["、".join(n.zh for n in named)], [", ".join(n.name for n in named)])
        for code in scheme.at_level(depth):
            graph.add((uri, SKOS.member, concept_uri(base, scheme, code.code)))


def _associate(graph: Graph, base: str, table: Correspondence | Concordance) -> URIRef:
    uri = URIRef(base + table.id)
    graph.add((uri, RDF.type, XKOS.Correspondence))
    graph.add((uri, XKOS.compares, URIRef(base + table.from_scheme.id)))
    graph.add((uri, XKOS.compares, URIRef(base + table.to_scheme.id)))
    return uri


def _association(graph: Graph, base: str, table: Correspondence | Concordance, start: str, end: str) -> URIRef:
    uri = URIRef(f"{base}{table.id}/{start or 'none'}-{end or 'none'}")
    graph.add((URIRef(base + table.id), XKOS.madeOf, uri))
    graph.add((uri, RDF.type, XKOS.ConceptAssociation))
    if start:
        graph.add((uri, XKOS.sourceConcept, concept_uri(base, table.from_scheme, start)))
    if end:
        graph.add((uri, XKOS.targetConcept, concept_uri(base, table.to_scheme, end)))
    return uri


def add_correspondence(graph: Graph, base: str, table: Correspondence) -> None:
    """All links of a correspondence as ``xkos:ConceptAssociation``."""
    _associate(graph, base, table)
    for link in table.links:
        uri = _association(graph, base, table, link.from_code, link.to_code)
        for name in ("coverage", "resolution", "basis", "note"):
            if text := getattr(link, name):
                graph.add((uri, AI[name], Literal(text)))


def add_concordance(graph: Graph, base: str, table: Concordance) -> None:
    """All steps of a concordance as ``xkos:ConceptAssociation`` with relation and share."""
    _associate(graph, base, table)
    for step in table.steps:
        uri = _association(graph, base, table, step.from_code, step.to_code)
        graph.add((uri, AI.relation, Literal(step.relation)))
        if step.share is not None:
            graph.add((uri, AI.share, Literal(step.share, datatype=XSD.decimal)))
        if step.share_source:
            graph.add((uri, AI.shareSource, Literal(step.share_source)))


def scheme_graph(scheme: Scheme, base: str = BASE) -> Graph:
    """The scheme, its levels and codes, and every correspondence and concordance that starts from it."""
    graph = Graph()
    for prefix, space in (("skos", SKOS), ("xkos", XKOS), ("dcterms", DCTERMS), ("ai", AI)):
        graph.bind(prefix, space)
    graph.bind("code", f"{base}{scheme.id}/")
    home = URIRef(base + scheme.id)
    graph.add((home, RDF.type, SKOS.ConceptScheme))
    _texts(graph, home, SKOS.prefLabel, [scheme.name_zh], [scheme.name_en])
    graph.add((home, SKOS.notation, Literal(scheme.id)))
    graph.add((home, DCTERMS.hasVersion, Literal(scheme.version)))
    graph.add((home, DCTERMS.isVersionOf, URIRef(f"{base}family/{scheme.family or scheme.id}")))
    graph.add((home, DCTERMS.valid, Literal(f"{scheme.valid_from}/{scheme.valid_to or '..'}")))
    graph.add((home, AI.status, Literal(scheme.status)))
    for older in families().get(scheme.family, ()):
        if older.valid_to and older.valid_to < scheme.valid_from:
            graph.add((home, XKOS.follows, URIRef(base + older.id)))
    _add_levels(graph, base, scheme)
    for code in scheme.codes:
        _add_concept(graph, base, scheme, code)
    for name in list_correspondences():
        if (table := correspondence(name)).from_scheme.id == scheme.id:
            add_correspondence(graph, base, table)
    for name in list_concordances():
        if (steps := load_concordance(name)).from_scheme.id == scheme.id:
            add_concordance(graph, base, steps)
    return graph


def scheme_turtle(scheme: Scheme, base: str = BASE) -> str:
    """:func:`scheme_graph` as Turtle text; equal schemes give equal text.

    Parameters
    ----------
    base
        Start of every address, ending in ``:``, ``/`` or ``#``; an office puts the public address of its classifications.
    """
    return str(scheme_graph(scheme, base).serialize(format="turtle"))
