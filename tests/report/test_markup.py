from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from nbdt.hierarchy.text import one_line
from nbdt.report.markup import Markup, counted, element, facts, join, name, section, table


class Texts(HTMLParser):
    """What a parser sees: the elements, the text and the values of attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.values: list[str | None] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [value for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text())
def test_whatever_a_text_holds_it_stays_text(text: str) -> None:
    seen = Texts(element("p", text, title=text))
    shown = "\n".join(map(one_line, text.split("\n")))
    assert (seen.tags, seen.text, seen.values) == (["p"], shown, [shown])
    assert isinstance(join(text), Markup)


def test_what_commands_or_turns_a_line_is_written_out() -> None:
    seen = Texts(element("p", "ab\u202ecd\n\x1b[31m", title="\u2066x\x9b"))
    assert (seen.text, seen.values) == ("ab\\u202ecd\n\\x1b[31m", ["\\u2066x\\x9b"])


def test_one_is_no_plural() -> None:
    assert [counted(n, "mistake") for n in (0, 1, 2, 1000)] == [
        "0 mistakes", "1 mistake", "2 mistakes", "1,000 mistakes",
    ]  # fmt: skip


@given(st.text(alphabet="<>&\"'/! -=abc\n\r\0", max_size=20))
def test_a_name_cannot_open_an_element(text: str) -> None:
    seen = Texts(name(text))
    assert seen.tags == ["bdi"]
    assert "\n" not in seen.text


def test_attributes() -> None:
    assert element("img", alt="", src=None) == '<img alt=""/>'
    assert element("rect", x=1.5, y=2.0, height=3) == '<rect x="1.5" y="2" height="3"/>'
    assert element("g", class_="a", text_anchor="end") == '<g class="a" text-anchor="end"></g>'


def test_facts_of_which_nothing_is_said_are_left_out() -> None:
    assert Texts(facts(("a", "1"), ("b", None), ("c", ""))).text == "a1"


def test_a_section_is_called_by_its_heading() -> None:
    made = section("here", "A & B", "…")
    assert 'aria-labelledby="here-title"' in made
    assert '<h2 id="here-title">A &amp; B</h2>' in made


def test_a_table_has_headings_for_rows_and_columns() -> None:
    made = table("Nodes", ["node", "kind", "right"], [["a<b", "x", "7"]], words=2)
    seen = Texts(made)
    assert seen.tags == [
        *("div", "table", "caption", "thead", "tr", "th", "th", "th"),
        *("tbody", "tr", "th", "td", "td"),
    ]
    assert made.count('scope="col"') == 3
    assert made.count('scope="row"') == 1
    assert made.count('class="number"') == 2
    assert "Nodes" in seen.values  # a name for who reaches it by keyboard
