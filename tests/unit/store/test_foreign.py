"""Histories of other tools: the traps."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import FormatError, UsageError
from harness.core.operations import History, Operation, Outcome
from harness.store import read_history, to_edn
from harness.store.edn import Text
from harness.store.foreign import read_edn, read_jepsen_log
from harness.store.formats import recognise


def edn(text: str) -> History:
    return read_edn(Text(text, "f.edn"))


def log(*lines: str) -> History:
    return read_jepsen_log(Text("\n".join(lines) + "\n", "f.log"))


def words(history: History) -> list[tuple[str, str, str | None]]:
    return [(item.words(), item.outcome.value, item.error) for item in history.operations]


def test_vector_list_and_bare_maps_mean_the_same() -> None:
    inner = """{:process 4 :type :invoke :f :write :value 2} ; a comment
    {:process 4, :type :ok, :f :write, :value 2, :extra [1 2 {:x nil}]}"""
    plain = edn(inner)
    assert words(plain) == [("write 2", "ok", None)]
    assert edn(f"[{inner}]") == edn(f"({inner})") == edn(f"; first\n\n[{inner}\n]\n")
    assert plain == edn(inner)


def test_a_read_has_the_value_it_completed_with() -> None:
    history = edn(
        "{:process 1 :type :invoke :f :read :value 4} {:process 1 :type :ok :f :read :value 5}"
    )
    (read,) = history.operations
    assert (read.call.value, read.result) == (None, 5)


def test_calls_without_an_end_are_unknown() -> None:
    history = edn(
        "{:process 1 :type :invoke :f :write :value 4} {:process 2 :type :invoke :f :read}"
        "{:process 2 :type :info :f :read :value :timed-out :error :timeout}"
    )
    assert words(history) == [
        ("write 4", "info", "no completion recorded"),
        ("read", "info", "timed-out"),
    ]
    assert all(item.end is None for item in history.operations)


@pytest.mark.parametrize(
    ("error", "observed"),
    [
        ("", True),
        (":error nil", True),
        (":error :mismatch", True),
        (':error "did-not-match"', True),
        (":error :timeout", False),
        (":error [:no-leader nil]", False),
    ],
)
def test_a_failed_cas_is_a_mismatch_unless_it_says_otherwise(error: str, observed: bool) -> None:
    history = edn(
        "{:process 1 :type :invoke :f :cas :value [1 2]}"
        f"{{:process 1 :type :fail :f :cas :value [1 2] {error}}}"
    )
    assert (history.operations[0].error == "mismatch") is observed


def test_the_nemesis_is_not_a_client() -> None:
    history = edn(
        "[{:process :nemesis :type :info :f :start :value nil}"
        "{:process 0 :type :invoke :f :read :value nil}"
        '{:process :nemesis :type :info :f :stop :value "Cut off {:n1 #{:n2}}"}'
        "{:process 0 :type :ok :f :read :value nil}]"
    )
    (read,) = history.operations
    assert (read.index, read.start, read.end) == (1, 1, 3)
    assert not history.timed


def test_times_count_only_when_all_of_them_grow() -> None:
    text = "{:process 0 :type :invoke :f :read :time 100} {:process 0 :type :ok :f :read :time %s}"
    (timed,) = edn(text % 250).operations
    assert (timed.start, timed.end) == (100, 250)
    for other in ("100", "50", "nil", '"x"'):
        history = edn(text % other)
        assert not history.timed
        assert (history.operations[0].start, history.operations[0].end) == (0, 1)


def test_independent_keys_are_split_off() -> None:
    history = edn(
        """{:process 0 :type :invoke :f :read :value [7 nil]}
        {:process 1 :type :invoke :f :write :value [7 3]}
        {:process 2 :type :invoke :f :cas :value [8 [1 2]]}
        {:process 0 :type :ok :f :read :value [7 3]}
        {:process 1 :type :ok :f :write :value [7 3]}
        {:process 2 :type :fail :f :cas :value [8 [1 2]]}"""
    )
    assert [(item.call.key, item.call.value, item.result) for item in history.operations] == [
        (7, None, 3),
        (7, 3, None),
        (8, (1, 2), None),
    ]


def test_a_cas_alone_has_no_key() -> None:
    history = edn(
        "{:process 0 :type :invoke :f :cas :value [1 2]}{:process 0 :type :ok :f :cas :value [1 2]}"
    )
    assert history.operations[0].call.key is None


@pytest.mark.parametrize("blank", ["\t", " ", "   "])
def test_a_log_with_tabs_or_blanks(blank: str) -> None:
    rows = [
        ("3", ":invoke", ":write", "1"),
        ("4", ":invoke", ":read", "nil"),
        ("5", ":invoke", ":cas", "[1 2]"),
        ("3", ":ok", ":write", "1"),
        ("4", ":fail", ":read", ":timed-out"),
        ("5", ":fail", ":cas", "[1 2]"),
        (":nemesis", ":info", ":start", "nil"),
        ("3", ":invoke", ":write", "2"),
        ("3", ":info", ":write", ":timed-out"),
    ]
    history = log(*(f"INFO  jepsen.util - {blank.join(row)}" for row in rows))
    assert words(history) == [
        ("write 1", "ok", None),
        ("read", "fail", "timed-out"),
        ("cas 1 2", "fail", "mismatch"),
        ("write 2", "info", "timed-out"),
    ]


def test_an_empty_log_is_an_empty_history() -> None:
    assert log("").operations == ()


INVOKE = "INFO  jepsen.util - 3 :invoke :write 1"


@pytest.mark.parametrize(
    ("lines", "where", "what"),
    [
        (["INFX  jepsen.util - 3 :invoke :write 1"], "1:1", "expected a line"),
        ([INVOKE, INVOKE], "2:1", "calls before its call at event 0 ended"),
        (["INFO  jepsen.util - 3 :ok :write 1"], "1:1", "no open call"),
        (["INFO  jepsen.util - x :ok :write 1"], "1:1", "process number"),
        (["INFO  jepsen.util - 3 :done :write 1"], "1:1", "found ':done'"),
        (["INFO  jepsen.util - 3 :invoke :cas [1 2"], "1:1", "expected one value"),
        (["INFO  jepsen.util - 3 :invoke :write 1 2"], "1:1", "expected one value"),
        ([INVOKE, "", "INFO  jepsen.util - 3 :ok :read 1"], "3:1", "cannot end"),
        ([INVOKE, "INFO  jepsen.util - 3 :ok :write 2"], "2:1", "cannot end"),
    ],
)
def test_damage_in_a_log_is_named(lines: list[str], where: str, what: str) -> None:
    with pytest.raises(FormatError) as caught:
        log(*lines)
    assert str(caught.value).startswith(f"f.log:{where}: ")
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[1]", "expected the map of an event"),
        ("{:process 1 :f :read}", "expected :type"),
        ("{:process 1 :type :done :f :read}", "expected :type"),
        ("{:process 1 :type :invoke}", "expected :f"),
        ("{:type :invoke :f :read}", "expected :process"),
        ('{:process "1" :type :invoke :f :read}', "expected :process"),
        ("{:process 1 :type :ok :f :read}", "no open call"),
    ],
)
def test_damage_in_edn_is_named(text: str, what: str) -> None:
    with pytest.raises(FormatError, match=what) as caught:
        edn(text)
    assert str(caught.value).startswith("f.edn:1:")


def test_porcupine_insists(tmp_path: Path) -> None:
    path = tmp_path / "kv.txt"
    path.write_text(
        '{:process 9, :type :invoke, :f :append, :key "0", :value "x 9 0 y"}\n'
        '{:process 9, :type :ok, :f :append, :key "0", :value "x 9 0 y"}\n'
        '{:process 9, :type :invoke, :f :get, :key "0", :value nil}\n'
        '{:process 9, :type :ok, :f :get, :key "0", :value "x 9 0 y"}\n'
    )
    recorded = read_history(path)
    assert recorded.format == "porcupine-kv"
    add, get = recorded.history.operations
    assert (add.call.key, add.call.value, get.result) == ("0", "x 9 0 y", "x 9 0 y")
    path.write_text("{:process 9, :type :invoke, :f :append, :value 1}\n")
    with pytest.raises(FormatError, match="with its :key"):
        read_history(path, "porcupine-kv")


@pytest.mark.parametrize(
    ("raw", "format"),
    [
        (b"", "jepsen-log"),
        (b"\n\n", "jepsen-log"),
        (b"; nothing but a comment\n", "edn"),
        (b"INFO  jepsen.util - 1 :invoke :read nil\n", "jepsen-log"),
        (b'{"format":"quorum-harness-history"}', "jsonl"),
        (b' { "type": 1', "jsonl"),
        (b"; c\n({:a 1})", "edn"),
        (b"#jepsen.history.Op{:index 0}", "edn"),
        (b'{:process 1 :f :get :key "x"}', "porcupine-kv"),
    ],
)
def test_formats_are_recognised(raw: bytes, format: str) -> None:
    assert recognise(raw, "f") == format


@pytest.mark.parametrize("raw", [b"hello\n", b"\x00\xff", b"<html>", b"w 0 0"])
def test_what_is_no_history_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError, match="f:1:1: expected a history"):
        recognise(raw, "f")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "f.edn"
    path.write_bytes(b"[{:process 1}\n {:x \xff}]")
    with pytest.raises(FormatError, match=r"f\.edn:2:6: expected UTF-8 text, found 0xff"):
        read_history(path)


def test_no_such_file_or_format(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_history(tmp_path / "nothing")
    with pytest.raises(UsageError, match="unknown format"):
        read_history(tmp_path / "nothing", "csv")


def told(item: Operation) -> tuple[object, ...]:
    return (item.process, item.call, item.outcome, item.result, item.start, item.end)


def test_what_is_written_as_edn_is_read() -> None:
    text = """[{:process 0, :type :invoke, :f :write, :value [k 3], :time 1}
    {:process 1, :type :invoke, :f :read, :value [k nil], :time 2}
    {:process 0, :type :ok, :f :write, :value [k 3], :time 3}
    {:process 1, :type :ok, :f :read, :value [k 3], :time 4}
    {:process 0, :type :invoke, :f :cas, :value [k [3 4]], :time 5}
    {:process 0, :type :fail, :f :cas, :value [k [3 4]], :time 6}
    {:process 1, :type :invoke, :f :read, :value [k nil], :time 7}]"""
    history = edn(text)
    again = edn(to_edn(history))
    assert [told(item) for item in again.operations] == [told(item) for item in history.operations]
    assert {item.outcome for item in again.operations} == set(Outcome)
