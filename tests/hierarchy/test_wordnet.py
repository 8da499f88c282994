import contextlib
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbdt.errors import FormatError, InputError, NBDTError, NotFoundError
from nbdt.hierarchy import wordnet as module
from nbdt.hierarchy.wordnet import WordNet
from tests.hierarchy.small_wordnet import ANIMALS, write_wordnet
from tests.timing import cpu_seconds


@pytest.fixture
def folder(tmp_path):
    write_wordnet(tmp_path)
    return tmp_path


@pytest.fixture
def wordnet(folder):
    return WordNet(folder)


@pytest.fixture
def wnids(tmp_path):
    return write_wordnet(tmp_path)


def test_reads_a_synset_by_its_wnid(wordnet, wnids):
    synset = wordnet.synset(wnids["dog"])
    assert synset.wnid == wnids["dog"]
    assert synset.lemmas == ("dog", "domestic dog")
    assert synset.gloss == "a member of the genus Canis"
    assert synset.hypernyms == (wnids["canine"], wnids["pet"])


def test_hypernyms_are_kinds_and_instances_of_nouns_only(wordnet, wnids):
    assert wordnet.synset(wnids["wolf"]).hypernyms == (wnids["canine"],)
    assert wordnet.synset(wnids["entity"]).hypernyms == ()


def test_iterates_over_every_synset(wordnet, wnids):
    assert [synset.wnid for synset in wordnet] == list(wnids.values())


@pytest.mark.parametrize(
    ("noun", "entry"),
    [
        ("beagle", "beagle"),
        ("BEAGLE", "beagle"),
        ("beagles", "beagle"),
        ("domestic dog", "dog"),
        ("domestic_dog", "dog"),
        (" Domestic  Dogs ", "dog"),
        ("pug dog", "pug"),
        ("domestic-animal", "pet"),
        ("buses", "bus"),
        ("bus", "bus"),
        ("wolves", "wolf"),
        ("beasts", "animal"),
    ],
)
def test_finds_a_noun_however_it_is_written(wordnet, wnids, noun, entry):
    assert wordnet.find(noun).wnid == wnids[entry]


def test_finds_a_wnid(wordnet, wnids):
    assert wordnet.find(wnids["pug"]).lemmas[0] == "pug"


def test_an_irregular_plural_that_is_an_entry_has_both_meanings(wordnet, wnids):
    senses = wordnet.senses("men")
    assert [synset.wnid for synset in senses] == [wnids["workers"], wnids["man"]]


def test_an_ambiguous_noun_lists_its_candidates(wordnet, wnids):
    with pytest.raises(InputError, match="'cranes' may mean 2 things") as error:
        wordnet.find("cranes")
    for name in ("crane machine", "crane bird"):
        assert wnids[name] in str(error.value)
        assert ANIMALS[name][2] in str(error.value)


def test_a_candidate_is_described_without_examples_and_cut(wordnet, wnids):
    assert str(wordnet.synset(wnids["machine"])) == (
        f"{wnids['machine']} (machine: any mechanical device)"
    )
    synset = module.Synset("n00000000", ("a", "b", "c"), "long " * 30, ())
    assert str(synset).startswith("n00000000 (a, b: long long")
    assert str(synset).endswith("…)")
    assert len(str(synset)) < 90


def test_an_unknown_noun_suggests_what_is_spelled_alike(wordnet):
    with pytest.raises(NotFoundError, match="no noun 'beegle'; did you mean 'beagle'"):
        wordnet.find("beegle")
    with pytest.raises(NotFoundError, match=r"no noun 'xylophone'\.$"):
        wordnet.find("xylophone")
    assert wordnet.senses("xylophone") == ()


@pytest.mark.parametrize("wnid", ["n99999999", "n00000001", "n00000000"])
def test_an_unknown_wnid_is_not_found(wordnet, wnid):
    with pytest.raises(NotFoundError, match=f"no synset has the wnid {wnid}"):
        wordnet.find(wnid)


@pytest.mark.parametrize("wnid", ["", "dog", "n1", "v00000041", "n0000004१"])
def test_what_is_no_wnid_is_said_to_be_none(wordnet, wnid):
    with pytest.raises(NotFoundError, match="eight digits"):
        wordnet.synset(wnid)


def test_a_missing_database_says_how_to_get_it(tmp_path, monkeypatch):
    with pytest.raises(NotFoundError, match=r"holds no WordNet.*apt install wordnet-base"):
        WordNet(tmp_path)
    monkeypatch.setattr(module, "USUAL_FOLDERS", (str(tmp_path / "a"), str(tmp_path / "b")))
    with pytest.raises(NotFoundError, match=r"found in .*a or .*b; .*apt install wordnet-base"):
        WordNet()


def test_a_missing_part_of_the_database_is_named(folder):
    (folder / "noun.exc").unlink()
    with pytest.raises(NotFoundError, match=r"noun\.exc cannot be read.*wordnet-base"):
        WordNet(folder)


def test_looks_in_the_usual_folders(folder, monkeypatch):
    monkeypatch.setattr(module, "USUAL_FOLDERS", ("/nowhere", str(folder)))
    assert repr(WordNet()) == f"WordNet({str(folder)!r})"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" n 02 dog 0 ", " v 02 dog 0 "),  # another part of speech
        (" n 02 dog 0 ", " n 0x dog 0 "),  # no count of words
        (" n 02 dog 0 ", " n 00 dog 0 "),  # no word
        (" n 02 dog 0 ", " n ff dog 0 "),  # more words than there are
        (" 004 @ ", " 005 @ "),  # more pointers than there are
        (" 004 @ ", " 00a @ "),
        (" | a member", " / a member"),  # no gloss
    ],
)
def test_a_malformed_synset_is_refused(folder, wnids, old, new):
    data = (folder / "data.noun").read_text(encoding="utf-8")
    start = int(wnids["dog"][1:])
    line_end = data.index("\n", start)
    line = data[start:line_end]
    assert old in line
    (folder / "data.noun").write_text(
        data[:start] + line.replace(old, new) + data[line_end:], encoding="utf-8"
    )
    with pytest.raises(FormatError, match=rf"data\.noun, byte {start}: not a line"):
        WordNet(folder).synset(wnids["dog"])


def test_text_that_is_not_utf8_is_refused(folder, wnids):
    data = (folder / "data.noun").read_bytes()
    (folder / "data.noun").write_bytes(data.replace(b"genus Canis", b"genus Can\xeds"))
    with pytest.raises(FormatError, match="not a line of WordNet's nouns"):
        WordNet(folder).synset(wnids["dog"])


def test_changed_line_ends_are_noticed(folder, wnids):
    data = (folder / "data.noun").read_bytes()
    (folder / "data.noun").write_bytes(data.replace(b"\n", b"\r\n"))
    with pytest.raises(NotFoundError, match="byte for byte"):
        WordNet(folder).synset(wnids["dog"])
    with pytest.raises(FormatError):
        list(WordNet(folder))


@pytest.mark.parametrize("line", ["pug n 2 2 @ %p 1 0 00000041", "pug n x", "pug", "pug n 1 9"])
def test_a_malformed_index_is_refused(folder, line):
    index = (folder / "index.noun").read_text(encoding="utf-8").splitlines()
    index = [line if old.startswith("pug ") else old for old in index]
    (folder / "index.noun").write_text("\n".join(index), encoding="utf-8")
    with pytest.raises(FormatError, match=r"index\.noun: the line of 'pug'"):
        WordNet(folder).find("pug")


@given(
    file=st.sampled_from(["data.noun", "index.noun", "noun.exc"]),
    place=st.integers(0, 2000),
    removed=st.integers(0, 40),
    added=st.binary(max_size=8) | st.sampled_from([b" ", b"\n", b"\0", b"99999999", b"-1", b"@"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_damaged_database_is_read_or_refused(tmp_path, file, place, removed, added):
    wnids = write_wordnet(tmp_path)
    content = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(content[:place] + added + content[place + removed :])
    wordnet = WordNet(tmp_path)
    asked = [lambda: list(wordnet)]
    asked += [partial(wordnet.find, text) for text in ("men", "cranes", "pugs", *wnids.values())]
    for ask in asked:
        with contextlib.suppress(NBDTError):  # anything else is a crash
            ask()


def test_the_real_database(nbdt_data):
    if not (nbdt_data / "wordnet30").is_dir():
        pytest.skip("the data folder has no wordnet30")
    wordnet = WordNet(nbdt_data / "wordnet30")
    synsets = {synset.wnid: synset for synset in wordnet}
    reading = cpu_seconds(lambda: list(WordNet(nbdt_data / "wordnet30")), times=2)
    assert reading < 5, "reading all synsets takes about half a second"
    assert len(synsets) == 82_115
    assert [s.wnid for s in synsets.values() if not s.hypernyms] == ["n00001740"]
    assert all(above in synsets for s in synsets.values() for above in s.hypernyms)
    assert len(wordnet.senses("dog")) == 7
    assert wordnet.find("Egyptian cats").wnid == "n02124075"
    assert {"mouse", "computer mouse"} <= {n for s in wordnet.senses("mice") for n in s.lemmas}
