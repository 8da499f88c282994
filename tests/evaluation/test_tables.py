from nbdt.evaluation.tables import aligned, percent, percent_range, short, signed, signed_range


def test_all_and_none_are_exact() -> None:
    assert [percent(share) for share in (0, 1e-9, 0.00049, 0.5, 0.9999, 1)] == [
        "0.0 %", "<0.1 %", "<0.1 %", "50.0 %", ">99.9 %", "100.0 %"
    ]  # fmt: skip
    assert percent(None) == "–"
    assert percent_range(None) == ""
    assert percent_range((0, 1)) == "0.0 – 100.0 %"


def test_names_are_one_short_line() -> None:
    assert short("a\nb") == r"a\nb"
    assert short("x" * 40) == "x" * 40
    assert short("x" * 41) == "x" * 39 + "…"
    assert len(short("word " * 20)) <= 40


def test_empty_columns_are_left_out() -> None:
    assert aligned(("a", "b", "c"), [("x", "", "1"), ("yy", "", "22")]) == [
        "a    c", "──  ──", "x    1", "yy  22"
    ]  # fmt: skip


def test_differences_have_a_sign() -> None:
    assert [signed(value) for value in (0.0123, -0.5, 0.0)] == ["+1.2", "−50.0", "0.0"]
    assert signed_range((-0.01, 0.25)) == "−1.0 … +25.0"
