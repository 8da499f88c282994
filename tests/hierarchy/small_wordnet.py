"""A WordNet of a few synsets, written as the format says, for tests that have no real one."""

from collections.abc import Sequence
from pathlib import Path

LICENCE = "  1 This stands where the licence does.  \n"
# lemmas; names of hypernyms; gloss
Entry = tuple[Sequence[str], Sequence[str], str]

ANIMALS: dict[str, Entry] = {
    "entity": (["entity"], [], "that which is perceived"),
    "animal": (["animal", "beast"], ["entity"], "a living organism"),
    "machine": (["machine"], ["entity"], 'any mechanical device; "a thing with gears"'),
    "lifter": (["lifting_device"], ["machine"], "a device for lifting"),
    "crane machine": (["crane"], ["lifter"], "lifts and moves heavy objects"),
    "bird": (["bird"], ["animal"], "warm-blooded egg-laying vertebrates"),
    "crane bird": (["crane"], ["bird"], "large long-necked wading bird"),
    "canine": (["canine", "canid"], ["animal"], "any of various fissiped mammals"),
    "pet": (["domestic_animal"], ["animal"], "any of various animals that have been tamed"),
    "dog": (["dog", "domestic_dog"], ["canine", "pet"], "a member of the genus Canis"),
    "beagle": (["beagle"], ["dog"], "a small short-legged smooth-coated breed of hound"),
    "pug": (["pug", "pug-dog"], ["dog"], "small compact smooth-coated breed of Asiatic origin"),
    "wolf": (["wolf"], ["canine"], "any of various predatory carnivorous canine mammals"),
    "bus": (["bus"], ["machine"], "a vehicle carrying many passengers"),
    "workers": (["work_force", "men"], ["entity"], "the force of workers available"),
    "man": (["man"], ["animal"], "an adult person who is male"),
}


def write_wordnet(
    folder: Path,
    entries: dict[str, Entry] = ANIMALS,
    exceptions: str = "men man\nwolves wolf wolve\n",
    instance: str = "wolf",
) -> dict[str, str]:
    """Writes data.noun, index.noun and noun.exc; gives the wnid of each entry.

    The hypernyms of the entry called `instance` are written as those of an instance (@i).
    """
    offsets = dict.fromkeys(entries, 0)
    for _ in range(2):  # the first round finds the lengths, the second writes the offsets
        data, senses = LICENCE, {}
        for name, (lemmas, hypernyms, gloss) in entries.items():
            offsets[name] = len(data.encode())
            symbol = "@i" if name == instance else "@"
            pointers = [f"{symbol} {offsets[above]:08d} n 0000" for above in hypernyms]
            # A pointer to a verb and one to a part, which are no hypernyms.
            pointers += ["+ 00000000 v 0101", "%p 00000000 n 0000"]
            words = " ".join(f"{lemma} 0" for lemma in lemmas)
            data += (
                f"{offsets[name]:08d} 05 n {len(lemmas):02x} {words} "
                f"{len(pointers):03d} {' '.join(pointers)} | {gloss}  \n"
            )
            for lemma in lemmas:
                senses.setdefault(lemma.lower(), []).append(f"{offsets[name]:08d}")
    index = LICENCE + "".join(
        f"{lemma} n {len(found)} 2 @ %p {len(found)} 0 {' '.join(found)}  \n"
        for lemma, found in sorted(senses.items())
    )
    for file, text in {"data.noun": data, "index.noun": index, "noun.exc": exceptions}.items():
        (folder / file).write_text(text, encoding="utf-8", newline="\n")
    return {name: f"n{offset:08d}" for name, offset in offsets.items()}
