"""Which terminals of the fluency grammar a word can be: a lexicon, inflection rules, endings."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache

from personas.packaged import packaged_toml

_NUMBER = re.compile(r"[#$£€]?\d[\d.,:]*%?$")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)$")
_ADJECTIVE = re.compile(r"(ous|ful|ive|able|ible|less|ish|al|ic|ary|-\w+)$")
_CONTRACTION = re.compile(r"(.+)('(?:m|s|re|ve|ll|d))$", re.IGNORECASE)
_NEGATION = re.compile(r"(.+)n't$", re.IGNORECASE)
_REFERENCE = r"(?!\d+[A-Z]{1,3}\b)(?=\d*[A-Z])(?=[A-Z]*\d)[A-Z\d]{6,}\b"
"""Six or more capitals and digits in one, such as a train's id, but no sum with its unit."""
_POSTCODE = r"[A-Za-z]{1,2}\d{1,2} ?\d[A-Za-z]{2}\b"
_CODE = re.compile(rf"(?<!\w)(?:{_REFERENCE}|{_POSTCODE})")
_TOKEN = re.compile(
    _CODE.pattern + r"|\d+(?:st|nd|rd|th)\b|[#$£€]?\d+(?:[.,:]\d+)*%?|[A-Za-z]+(?:['-][A-Za-z]+)*'?|[,;:–—-]|\S"
)
_SEPARATORS = frozenset(",;:–—-")
NAME, COUNT, MASS, PLURAL, ADJECTIVE = "name", "count", "mass", "plural", "adj"


def tokens(clause: str) -> list[str]:
    """Split text without closing punctuation into words, numbers and separators; contractions come apart."""
    found: list[str] = []
    for token in _TOKEN.findall(clause):
        lower = token.lower()
        negated = _NEGATION.match(token)
        contracted = _CONTRACTION.match(token)
        if lower == "let's":
            found.append(token)
        elif lower in ("can't", "won't", "shan't"):
            found += [{"can't": "can", "won't": "will", "shan't": "shall"}[lower], "n't"]
        elif negated:
            found += [negated[1], "n't"]
        elif contracted:
            found += [contracted[1], contracted[2]]
        elif lower.endswith("s'"):
            found += [token[:-1], "'s"]
        else:
            found.append(token.strip("'"))
    return _with_phrases([token for token in found if token])


def _with_phrases(found: list[str]) -> list[str]:
    """Join words that the lexicon lists as one, such as ``of-course``; the longest listed phrase wins."""
    joined: list[str] = []
    position = 0
    while position < len(found):
        for size in (4, 3, 2, 1):
            phrase = "-".join(found[position : position + size])
            if size == 1 or phrase.lower() in _lexicon():
                joined.append(phrase)
                position += size
                break
    return joined


def classes(token: str, first: bool, followed_by_capital: bool = False) -> frozenset[str]:
    """Return the terminals ``token`` can be; ``first`` says it opens the sentence, where a capital means nothing."""
    lower = token.lower()
    known = _lexicon().get(lower, frozenset())
    if _ORDINAL.match(token):
        return frozenset((ADJECTIVE, COUNT))
    if _NUMBER.match(token):
        return frozenset(("num",))
    if _CODE.fullmatch(token):
        return frozenset((NAME,))
    if not token[0].isalpha() and not token.startswith("'"):
        return known
    if lower.endswith("ly") and known:
        known |= {"ly"}
    if (
        token[0].isupper()
        and lower != "i"
        and not (known & _function_words() and not first)
        and (not first or followed_by_capital or not known)
    ):
        known |= {NAME}
    return known if known - {NAME} else known | _guess(lower)


def _guess(lower: str) -> frozenset[str]:
    """Classes of a word that the lexicon lacks, by its ending; a noun where nothing else fits."""
    if lower.endswith("ing") and len(lower) > 5:
        return frozenset(("iG", "tG", MASS, "ving"))
    if lower.endswith("ed") and len(lower) > 4:
        return frozenset(("iD", "tD", "iN", "tN", "vpart", ADJECTIVE))
    if lower.endswith("ly") and len(lower) > 4:
        return frozenset(("ly",))
    if _ADJECTIVE.search(lower):
        return frozenset((ADJECTIVE, COUNT)) if "-" in lower else frozenset((ADJECTIVE,))
    if lower.endswith("s") and not lower.endswith(("ss", "us", "is")):
        return frozenset((PLURAL, "iZ", "tZ"))
    return frozenset((COUNT, MASS, "iB", "tB"))


@cache
def _inflection(table: str) -> dict[str, str]:
    """Irregular forms by word; for ``doubling``, verbs whose last consonant doubles before -ing and -ed."""
    entries = _source()["inflection"][table].split()
    return {word: form for word, _, form in (entry.partition("/") for entry in entries)}


def _source() -> Mapping[str, Mapping[str, str]]:
    return packaged_toml(__package__, "fluency_words.toml")


def is_no_command(found: list[str]) -> bool:
    """Whether ``found`` opens with a verb that no command opens with, as a sentence does that lost its subject."""
    opening = [token.lower() for token in found[:3]]
    if opening[:2] == ["do", "n't"]:
        opening = opening[2:]
    return bool(opening) and opening[0] in _source()["imperative"]["never"].split()


@cache
def _function_words() -> frozenset[str]:
    """Terminals of pronouns, auxiliaries and modals: such words are no names, even with a capital."""
    return frozenset(_source()["no_name"]["terminals"].split())


@cache
def _lexicon() -> dict[str, frozenset[str]]:
    source = _source()
    known: dict[str, set[str]] = defaultdict(set)
    for table in ("closed", "words"):
        for terminal, listed in source[table].items():
            for word in listed.split():
                known[word].add(terminal)
                if terminal == COUNT:
                    known[plural(word)].add(PLURAL)
    for frame, listed in source["verbs"].items():
        for entry in listed.split():
            for form, word in _inflected(entry):
                known[word].add(frame + form)
                if form == "G":
                    known[word].add("ving")
                if form == "N" and frame in "tx":
                    known[word].add("vpart")
    for word, terminal in (("be", "beB"), ("been", "beN"), ("being", "beG"), ("have", "haveB"), ("having", "haveG")):
        known[word].add(terminal)
    for separator in _SEPARATORS:
        known[separator].add("comma" if separator == "," else "semi")
    known["(comma)"].add("comma")
    return {word: frozenset(terminals) for word, terminals in known.items()}


def _inflected(entry: str) -> Iterator[tuple[str, str]]:
    """Yield (form, word) for the six forms of ``base`` or ``base/past/participle``."""
    base, *irregular = entry.split("/")
    yield from (("B", base), ("P", base), ("Z", plural(base)))
    if base == "make-sure":
        yield from (("Z", "makes-sure"), ("G", "making-sure"), ("D", "made-sure"), ("N", "made-sure"))
        return
    if base.endswith("ie"):
        stem = base[:-2] + "y"
    else:
        stem = base[:-1] if base.endswith("e") and not base.endswith("ee") else base
    doubled = base + base[-1] if base in _inflection("doubling") else stem
    yield "G", f"{doubled}ing"
    past, participle = irregular or (_past(base),) * 2
    yield from ((form, word) for form, word in (("D", past), ("N", participle)) if word != "-")


def _past(base: str) -> str:
    if base.endswith("e"):
        return f"{base}d"
    if base.endswith("y") and base[-2] not in "aeiou":
        return f"{base[:-1]}ied"
    return f"{base + base[-1] if base in _inflection('doubling') else base}ed"


def plural(word: str) -> str:
    """Return the s-form of a noun or verb."""
    irregular = _inflection("plurals")
    if word in irregular:
        return irregular[word]
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return f"{word[:-1]}ies"
    if word.endswith(("s", "x", "z", "ch", "sh")) or word in ("do", "go", "undo", "mango", "potato", "tomato"):
        return f"{word}es"
    return f"{word}s"
