"""A reader of WordNet's nouns: what a word may mean, and what each meaning is a kind of.

WordNet (Miller 1995; Fellbaum 1998) groups synonyms into *synsets* and lists what each is a kind
of, its *hypernyms*. The *wnid* of a noun synset, by which ImageNet names its classes, is ``n`` and
the byte at which its line begins in WordNet 3.0's ``data.noun``; see the manual page wndb(5WN).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from nbdt.errors import FormatError, InputError, NotFoundError

# Where Debian's package and WordNet's own installer put the database.
USUAL_FOLDERS = ("/usr/share/wordnet", "/usr/local/WordNet-3.0/dict")
HOW_TO_GET_IT = (
    "install it with `apt install wordnet-base`, or unpack WordNet 3.0 from "
    "https://wordnet.princeton.edu/download and give the path of its `dict` folder"
)
# Endings of regular plurals and their singulars, from the manual page morphy(7WN).
PLURAL_ENDINGS = (
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
    ("s", ""),
)
WNID = re.compile("n[0-9]{8}")
GLOSS_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Synset:
    """One meaning that nouns may have.

    Attributes:
        wnid: ``n`` and eight digits.
        lemmas: the nouns that mean it, the commonest first, with spaces between words.
        gloss: its definition, often followed by examples in quotes.
        hypernyms: the wnids of what it is a kind or an instance of, in the order of the file.
    """

    wnid: str
    lemmas: tuple[str, ...]
    gloss: str
    hypernyms: tuple[str, ...]

    def __str__(self) -> str:
        gloss = self.gloss.split("; ", 1)[0]
        if len(gloss) > GLOSS_SHOWN:
            gloss = gloss[: GLOSS_SHOWN - 1].rstrip() + "…"
        return f"{self.wnid} ({', '.join(self.lemmas[:2])}: {gloss})"


class WordNet:
    r"""The nouns of a WordNet database: a folder with data.noun, index.noun and noun.exc.

    The files are read at once but parsed only where needed: a synset is found by its offset, a noun
    in an index that is built at the first lookup.

    `folder` is the one that WordNet calls ``dict``; by default, where Debian's wordnet-base and
    WordNet's own installer put it.

    Raises:
        NotFoundError: there is no database; the message says how to get one.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     files = {
        ...         "data.noun": "00000000 03 n 01 animal 0 000 | it lives\n"
        ...         "00000041 05 n 01 cat 0 001 @ 00000000 n 0000 | it purrs\n",
        ...         "index.noun": "animal n 1 0 1 0 00000000\ncat n 1 1 @ 1 0 00000041\n",
        ...         "noun.exc": "kitties cat\n",
        ...     }
        ...     for name, text in files.items():
        ...         _ = Path(folder, name).write_text(text, newline="\n")
        ...     wordnet = WordNet(folder)
        >>> wordnet.find("Cats")
        Synset(wnid='n00000041', lemmas=('cat',), gloss='it purrs', hypernyms=('n00000000',))
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = _found(folder)
        self._data, self._index, self._exceptions = (
            _read(self.folder / name) for name in ("data.noun", "index.noun", "noun.exc")
        )

    def __repr__(self) -> str:
        return f"WordNet({str(self.folder)!r})"

    def __iter__(self) -> Iterator[Synset]:
        """Every synset, in the order of the file."""
        start = 0
        while start < len(self._data):
            if self._data[start] != ord(" "):  # the license's lines begin with blanks
                yield self._parsed(start)
            start = self._line_end(start) + 1

    def synset(self, wnid: str) -> Synset:
        """The synset of that id."""
        if not WNID.fullmatch(wnid):
            raise NotFoundError(f"a wnid is 'n' and eight digits, such as n02084071; got {wnid!r}.")
        start = int(wnid[1:])
        if self._data[start : start + 9] != wnid[1:].encode() + b" ":
            raise NotFoundError(
                f"no synset has the wnid {wnid} in {self.folder}; wnids such as ImageNet's are "
                "those of WordNet 3.0, whose files must be kept byte for byte."
            )
        return self._parsed(start)

    def senses(self, noun: str) -> tuple[Synset, ...]:
        """Everything the noun may mean, the most frequent sense first; empty if it is unknown.

        Case is ignored; blanks, hyphens and underscores are the same. An irregular plural
        (noun.exc) also has the senses of its singulars, and a noun without an entry is tried as a
        regular plural.
        """
        spellings = self._spellings(noun)
        irregular = [form for s in spellings for form in self._irregular.get(s, ())]
        regular = [
            s.removesuffix(plural) + singular
            for s in spellings
            for plural, singular in PLURAL_ENDINGS
            if s.endswith(plural)
        ]
        found = [form for form in (*spellings, *irregular) if form in self._lines]
        found = found or [form for form in regular if form in self._lines]
        wnids = dict.fromkeys(wnid for form in found for wnid in self._offsets(form))
        return tuple(self.synset(wnid) for wnid in wnids)

    def find(self, noun_or_wnid: str) -> Synset:
        """The only synset that a wnid or a noun stands for.

        Raises:
            NotFoundError: it is unknown; the message suggests similar words.
            InputError: the noun means several things; the message lists them.
        """
        if WNID.fullmatch(noun_or_wnid):
            return self.synset(noun_or_wnid)
        senses = self.senses(noun_or_wnid)
        if not senses:
            self._unknown(noun_or_wnid)
        if len(senses) > 1:
            raise InputError(
                f"{noun_or_wnid!r} may mean {len(senses)} things; give the wnid of one: "
                f"{'; '.join(map(str, senses))}."
            )
        return senses[0]

    # ── the files ─────────────────────────────────────────────────────────────────────────────

    def _line_end(self, start: int) -> int:
        end = self._data.find(b"\n", start)
        return len(self._data) if end < 0 else end

    def _parsed(self, start: int) -> Synset:
        """The synset whose line begins at this byte of data.noun."""
        line = self._data[start : self._line_end(start)]
        try:
            fields, bar, gloss = line.decode("utf-8").partition(" | ")
            offset, _, kind, count, *rest = fields.split()
            words = 2 * int(count, 16)
            lemmas, pointers = rest[:words:2], rest[words + 1 :]
            hypernyms = [
                f"n{target}"
                for symbol, target in zip(pointers[::4], pointers[1::4], strict=True)
                if symbol in ("@", "@i")
            ]
            complete = len(lemmas) == words / 2 > 0 and len(pointers) == 4 * int(rest[words])
        except (ValueError, IndexError):
            complete = False
        if not complete or not bar or kind != "n" or offset != f"{start:08d}":
            raise FormatError(
                f"{self.folder / 'data.noun'}, byte {start}: not a line of WordNet's nouns: "
                f"{line[:40]!r}; get the database again: {HOW_TO_GET_IT}."
            )
        return Synset(
            wnid=f"n{offset}",
            lemmas=tuple(lemma.replace("_", " ") for lemma in lemmas),
            gloss=gloss.strip(),
            hypernyms=tuple(hypernyms),
        )

    @cached_property
    def _lines(self) -> dict[str, bytes]:
        """The unparsed line of index.noun for each lemma."""
        lines = (line for line in self._index.split(b"\n") if line[:1] not in (b"", b" "))
        return {line.split(b" ", 1)[0].decode("utf-8", "replace"): line for line in lines}

    def _offsets(self, lemma: str) -> list[str]:
        line = self._lines[lemma]
        try:
            fields = line.decode("utf-8").split()
            synsets, pointers = int(fields[2]), int(fields[3])
            wnids = [f"n{offset}" for offset in fields[6 + pointers :]]
        except (ValueError, IndexError):
            synsets, wnids = -1, []
        if len(wnids) != synsets:
            raise FormatError(
                f"{self.folder / 'index.noun'}: the line of {lemma!r} is not one of WordNet's: "
                f"{line[:60]!r}; get the database again: {HOW_TO_GET_IT}."
            )
        return wnids

    @cached_property
    def _irregular(self) -> dict[str, list[str]]:
        """The singulars of irregular plurals, from noun.exc."""
        entries = (line.split() for line in self._exceptions.decode("utf-8", "replace").split("\n"))
        return {plural: singulars for plural, *singulars in filter(None, entries)}

    def _spellings(self, noun: str) -> list[str]:
        """The noun as index.noun may spell it, as given first."""
        lemma = "_".join(noun.lower().split())
        return list(dict.fromkeys((lemma, lemma.replace("-", "_"), lemma.replace("_", "-"))))

    def _unknown(self, noun: str) -> NoReturn:
        lemma = self._spellings(noun)[0]
        # Comparing with all 117,798 lemmas takes seconds; a misspelling seldom hits the first
        # letter or the length.
        similar = [
            other
            for other in self._lines
            if other[:1] == lemma[:1] and abs(len(other) - len(lemma)) <= 2
        ]
        close = [word.replace("_", " ") for word in difflib.get_close_matches(lemma, similar)]
        hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else "."
        raise NotFoundError(f"WordNet has no noun {noun!r}{hint}")


def _found(folder: str | Path | None) -> Path:
    if folder is not None:
        if (Path(folder) / "data.noun").is_file():
            return Path(folder)
        raise NotFoundError(f"{folder} holds no WordNet database (data.noun); {HOW_TO_GET_IT}.")
    for usual in USUAL_FOLDERS:
        if (Path(usual) / "data.noun").is_file():
            return Path(usual)
    raise NotFoundError(
        f"no WordNet database was found in {' or '.join(USUAL_FOLDERS)}; {HOW_TO_GET_IT}."
    )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise NotFoundError(
            f"{file} cannot be read ({error.strerror}), but WordNet needs data.noun, index.noun "
            f"and noun.exc; {HOW_TO_GET_IT}."
        ) from None
