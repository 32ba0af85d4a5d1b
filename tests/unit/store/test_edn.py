"""EDN: what histories hold of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import FormatError
from harness.core.values import Record, Value, freeze
from harness.store.edn import Form, Map, Text, read, value_of, write


def forms(text: str) -> tuple[Form, ...]:
    return read(Text(text, "f.edn")).items


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("nil", None),
        ("true false", (True, False)),
        ("-12 +3 4N 5.5 6.M 1e3 -2.5e-1", (-12, 3, 4, 5.5, 6.0, 1000.0, -0.25)),
        ("1/2 0xff ##Inf", ("1/2", "0xff", "##Inf")),
        (r'"a \"b\" \\ \n \u00e9"', 'a "b" \\ \n é'),
        (r"\a \newline \space", ("a", "\n", " ")),
        (":ok :jepsen/op some-symbol", ("ok", "jepsen/op", "some-symbol")),
        ('#inst "2026-01-01" #foo.Bar{:a 1}', ("2026-01-01", Record((("a", 1),)))),
        ("#{1 2}", (1, 2)),
        ("(1 (2, 3) [])", (1, (2, 3), ())),
        ("#_ignored 1 #_ #_ 2 3 ; comment ]\n 4", (1, 4)),
        ('{:a 1, 2 [3], "b" {:c nil}}', freeze({"a": 1, "2": [3], "b": {"c": None}})),
        ("", ()),
    ],
)
def test_values(text: str, value: Value) -> None:
    """Of several forms the value has one each."""
    items = tuple(value_of(item) for item in forms(f"[{text}]"))
    assert value in (items, items[0] if len(items) == 1 else None)


def test_places_are_kept() -> None:
    found = read(Text("[{:a 1}\n {:b 2}]", "f.edn"))
    assert found.starts == (1, 9)
    assert [item.at for item in found.items if isinstance(item, Map)] == [1, 9]


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("[1 2}", "1:5", "expected ]"),
        ("1 2)", "1:4", "expected a value"),
        ("[{:a 1}\n {:b}]", "2:2", "a map needs a value for each key"),
        ("{:a 1 :a 2}", "1:1", "twice"),
        ("[3x]", "1:2", "expected a number"),
        ("[" + "9" * 5000 + "]", "1:2", "more digits"),
        ("[" * 200, "1:101", "nested deeper"),
        ('["a]\n1 2\n3', "1:2", "never closed"),
        ("[{:type :ok {:type :ok :f 1} {:type :ok}", "1:2", "never closed"),
        ("# 1", "1:1", "expected a value"),
    ],
)
def test_damage_is_named_with_its_place(text: str, where: str, words: str) -> None:
    with pytest.raises(FormatError) as caught:
        forms(text)
    assert str(caught.value).startswith(f"f.edn:{where}: "), caught.value
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["[{:a 1} {:b", '[{:a 1} {:b "x', "[{:a 1} {:b [1", "[{:a 1} {", "[{:a 1} {:", "{:a 1} {"],
)
def test_a_text_that_breaks_off_is_read_up_to_there(text: str) -> None:
    found = read(Text(text, "f.edn"))
    assert len(found.items) == 1
    assert found.cut == text.rindex("{")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=3).map(freeze)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_what_is_written_is_read(value: Value) -> None:
    (form,) = forms(f"[{write(value)}]")
    assert value_of(form) == value
    assert type(value_of(form)) is type(value)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        for item in forms(text):
            value_of(item)
    except FormatError as error:
        assert str(error).startswith("f.edn:")
