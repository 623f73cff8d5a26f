"""What the language reads, and what it says where it cannot."""

from __future__ import annotations

import pytest

from mainspring.kernel.errors import InvalidInput
from mainspring.tracking.query_language import parse_order, parse_query
from mainspring.tracking.query_pattern import check_pattern
from mainspring.tracking.query_tree import (
    Among,
    And,
    Between,
    Compare,
    Field,
    Missing,
    Not,
    Now,
    Or,
    Order,
    Span,
    Special,
    names_in,
)
from mainspring.tracking.query_words import EXPERIMENT_WORDS

LOSS = Field("metric", "loss")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        # MLflow's own words
        ("metrics.loss < 0.5", Compare(LOSS, "<", 0.5)),
        ("metric.loss<=-1e3", Compare(LOSS, "<=", -1000.0)),
        ("metrics.`val loss` = 1", Compare(Field("metric", "val loss"), "=", 1)),
        ('params."a b" = "x"', Compare(Field("param", "a b"), "=", "x")),
        ("parameters.lr != '0.1'", Compare(Field("param", "lr"), "!=", "0.1")),
        ("tags.mlflow.user ILIKE 'ann%'", Compare(Field("tag", "mlflow.user"), "ILIKE", "ann%")),
        ("attributes.status = 'FINISHED'", Compare(Field("attribute", "status"), "=", "FINISHED")),
        ("attr.`run name` = 'x'", Compare(Field("attribute", "title"), "=", "x")),
        ("run_name LIKE 'a%'", Compare(Field("attribute", "title"), "LIKE", "a%")),
        ("start_time > 1664067852747", Compare(Field("attribute", "started_at"), ">", 1664067852747)),
        ("run_id IN ('a', \"b\")", Among(Field("attribute", "run_id"), ("a", "b"))),
        ("params.a IS NOT NULL", Missing(Field("param", "a"), negated=True)),
        (
            "metrics.a > 1 and metrics.b < 2",
            And((Compare(Field("metric", "a"), ">", 1), Compare(Field("metric", "b"), "<", 2))),
        ),
        # and more
        ("metrics.val/loss.x-y:z > 1", Compare(Field("metric", "val/loss.x-y:z"), ">", 1)),
        ("min(metrics.loss) < 1", Compare(Field("metric", "loss", "min"), "<", 1)),
        ("metrics.loss@100 >= NaN", Compare(Field("metric", "loss", at=100), ">=", Special("nan"))),
        ("metrics.loss = -inf", Compare(LOSS, "=", Special("-inf"))),
        ("metrics.loss NOT BETWEEN 1 AND 2", Between(LOSS, 1, 2, negated=True)),
        ("started_at > now - 2d", Compare(Field("attribute", "started_at"), ">", Now(-172800.0))),
        ("started_at > now-90min", Compare(Field("attribute", "started_at"), ">", Now(-5400.0))),
        ("duration < 2h", Compare(Field("attribute", "duration"), "<", Span(7200.0))),
        ("note !~ 'a|b'", Compare(Field("attribute", "note"), "=~", "a|b", negated=True)),
        ("params.flag = true", Compare(Field("param", "flag"), "=", value=True)),
        ("tags.a = 'it''s'", Compare(Field("tag", "a"), "=", "it's")),
        ("", None),
    ],
)
def test_a_text_is_read_as_a_tree(text, tree):
    assert parse_query(text) == tree


def test_and_binds_more_than_or_and_not_most():
    a, b, c = (Compare(Field("metric", name), ">", 1) for name in "abc")
    text = "{}.a > 1 {} {}.b > 1 {} {}.c > 1"
    read = lambda *words: parse_query(text.format("metrics", words[0], "metrics", words[1], "metrics"))  # noqa: E731
    assert read("OR", "AND") == Or((a, And((b, c))))
    assert read("AND", "OR") == Or((And((a, b)), c))
    assert parse_query("NOT metrics.a > 1 AND metrics.b > 1") == And((Not(a), b))
    assert parse_query("(metrics.a > 1 OR metrics.b > 1) AND metrics.c > 1") == And((Or((a, b)), c))
    assert [each.name for each in names_in(read("OR", "AND"))] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "pointed", "said", "known"),
    [
        ("metrics.a > 1 AND statsu = 'x'", "statsu", "have no field", "status"),
        ("metrcs.loss > 1", "metrcs.loss", "have no 'metrcs'", "metrics"),
        ("status = 'finishd'", "'finishd'", "not a status", "finished"),
        ("params.x lik 'a'", "lik", "a comparison is expected", "LIKE"),
        ("metrics.loss > '1'", "'1'", "compared with a number", ""),
        ("metrics.loss LIKE 'a'", "'a'", "cannot be compared by LIKE", ""),
        ("(metrics.loss > 1", "(", "not closed", ""),
        ("metrics.loss > 1)", ")", "AND, OR or the end", "AND"),
        ("metrics.loss >", "", "a value is expected", ""),
        ("status = finished", "finished", "a value is expected", ""),
        ("started_at > 'yesterday'", "'yesterday'", "not a time", ""),
        ("started_at > 3h", "3h", "compared with a time", ""),
        ("params.a = 'x", "'", "not closed", ""),
        ("params.a ? 'x'", "?", "no meaning", ""),
        ("min(params.a) > 1", "params.a", "only of a metric", ""),
        ("metrics.a@x > 1", "x", "an integer", ""),
        ("note =~ '(?:a)'", "'(?:a)'", "nothing to repeat", ""),
        ("metrics.a > 1 metrics.b > 1", "metrics.b", "AND, OR or the end", "AND"),
        ("metrics.a NOT > 1", ">", "a comparison is expected", "LIKE"),
        ("file != 'a'", "'a'", "a file is looked for", ""),
        ("status > 'a'", "'a'", "needs an order", ""),
        ("metrics.a > 1e999", "1e999", "too large", ""),
        ("AND metrics.a > 1", "AND", "is expected here", ""),
    ],
)
def test_an_error_points_at_the_place_and_names_the_nearest_word(text, pointed, said, known):
    with pytest.raises(InvalidInput) as caught:
        parse_query(text)
    message, line, arrow = caught.value.message.split("\n")
    assert said in message
    start = arrow.index("^")
    assert line[start : start + len(arrow.strip())] == pointed or (pointed == "" and start - 2 == len(text))
    assert known in caught.value.known or not known
    assert text[caught.value.details["start"] :].startswith(pointed)


def test_the_line_of_a_long_text_is_shown_with_its_pointer():
    with pytest.raises(InvalidInput) as caught:
        parse_query("metrics.a > 1\n  AND " + "metrics.b > 1 AND " * 20 + "bad = 1\n")
    _, line, arrow = caught.value.message.split("\n")
    assert line[arrow.index("^") :].startswith("bad")


@pytest.mark.parametrize(
    "text", ["(" * 100 + "metrics.a > 1" + ")" * 100, "NOT " * 100 + "metrics.a > 1", "a" * 30_000]
)
def test_what_has_no_end_is_refused(text):
    with pytest.raises(InvalidInput):
        parse_query(text)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("metrics.loss", Order(LOSS)),
        ("metrics.loss DESC", Order(LOSS, descending=True)),
        ("-metrics.loss", Order(LOSS, descending=True)),
        ("-metrics.loss desc", Order(LOSS)),
        ("start_time asc", Order(Field("attribute", "started_at"))),
        ("min(metrics.`a b`) DESC", Order(Field("metric", "a b", "min"), descending=True)),
    ],
)
def test_an_order_is_read(text, order):
    assert parse_order(text) == order


@pytest.mark.parametrize("text", ["", "loss", "file", "metrics.a SIDEWAYS", "metrics.a, metrics.b"])
def test_a_wrong_order_is_refused(text):
    with pytest.raises(InvalidInput):
        parse_order(text)


def test_experiments_have_words_of_their_own():
    assert parse_query("creation_time > 5", EXPERIMENT_WORDS) == Compare(Field("attribute", "created_at"), ">", 5)
    with pytest.raises(InvalidInput, match="experiments have no 'metrics'"):
        parse_query("metrics.a > 1", EXPERIMENT_WORDS)


@pytest.mark.parametrize("pattern", ["^a+$", "(ab|cd)*", "[^a-z]{2,5}x", "\\d\\.\\w", "[\\]x]"])
def test_plain_patterns_are_taken(pattern):
    check_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "(?=a)",
        "(?i)a",
        "a**",
        "a*?",
        "\\1",
        "(a",
        "a)",
        "a|",
        "|a",
        "()",
        "a{5,2}",
        "((a{99}){99}){9}",
        "[[:alpha:]]",
        "*a",
        "a\\",
    ],
)
def test_patterns_that_databases_read_differently_are_refused(pattern):
    with pytest.raises(InvalidInput):
        check_pattern(pattern)
