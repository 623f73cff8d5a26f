"""Deequ's checks as code: each method, assertions, levels, and what cannot be read."""

from __future__ import annotations

import polars as pl
import pytest

from mainspring.kernel.errors import InvalidInput
from mainspring.quality.formats.deequ import METHODS, read_deequ
from mainspring.quality.validation import validate_table

FRAME = pl.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "n": [1.0, 0.0, None, 4.0],
        "m": [0.0, -1.0, 3.0, None],
        "s": ["a", "b", None, "a"],
        "web": ["http://x.org/a", "mail me: a@b.co", "4111 1111 1111 1111", "123-45-6789"],
        "i": ["1", "2", "x", "4"],
    }
)

CHECKS = [
    (".hasSize(lambda x: x == 4)", True),
    (".hasSize(lambda x: 1 < x < 4)", False),
    (".hasColumnCount(lambda n: n >= 6)", True),
    ('.hasColumn("zz")', False),
    ('.isComplete("id")', True),
    ('.isComplete("s")', False),
    ('.isComplete("s").where("id < 3")', True),
    ('.hasCompleteness("s", lambda x: x >= 0.75)', True),
    ('.areComplete(["id", "s"])', False),
    ('.haveCompleteness(["id", "s"], lambda x: x >= 0.7)', True),
    ('.areAnyComplete(["n", "m"])', True),
    ('.haveAnyCompleteness(["s", "n"], lambda x: x < 0.8)', True),
    ('.isUnique("id")', True),
    ('.areUnique(["id", "s"])', True),
    ('.isPrimaryKey("s", "id")', True),
    ('.hasUniqueness(["s"], lambda x: x == 1/3)', None),
    ('.hasUniqueness(["s"], lambda x: x < 0.4)', True),
    ('.hasDistinctness(["s"], lambda x: x > 0.6)', True),
    ('.hasUniqueValueRatio(["s"], lambda x: x == 0.5)', True),
    ('.hasNumberOfDistinctValues("s", lambda x: x == 2)', True),
    ('.hasApproxCountDistinct("s", lambda x: x <= 1)', False),
    ('.hasEntropy("id", lambda x: x > 1.38 and x < 1.39)', True),
    ('.hasMutualInformation("id", "i", lambda x: x > 1.3)', True),
    ('.hasApproxQuantile("id", 0.5, lambda x: x <= 2.5)', True),
    ('.hasExactQuantile("id", 0.0, lambda x: x == 1)', True),
    ('.hasInterquartileRange("id", lambda x: x == 1.5)', True),
    ('.hasMin("id", lambda x: x == 1)', True),
    ('.hasMax("id", lambda x: x < 4)', False),
    ('.hasMean("id", lambda x: x == 2.5)', True),
    ('.hasSum("id", lambda x: x == 10)', True),
    ('.hasStandardDeviation("id", lambda x: 1.11 < x < 1.12)', True),
    ('.hasVariance("id", lambda x: x == 1.25)', True),
    ('.hasSkewness("id", lambda x: x == 0)', True),
    ('.hasKurtosis("id", lambda x: x < 0)', True),
    ('.hasRange("id", lambda x: x == 3)', True),
    ('.hasZerosCount("n", lambda x: x == 1)', True),
    ('.hasMinLength("s", lambda x: x == 1)', True),
    ('.hasMaxLength("web", lambda x: x > 100)', False),
    ('.hasCorrelation("id", "n", lambda x: x > 0.7)', True),
    ('.satisfies("`id` > 1", "big", lambda x: x >= 0.75)', True),
    ('.satisfies("n > 0", "big")', False),
    (r'.hasPattern("s", r"[ab]", lambda x: x == 0.75)', True),
    ('.containsURL("web", lambda x: x == 0.25)', True),
    ('.containsEmail("web", lambda x: x == 0.25)', True),
    ('.containsCreditCardNumber("web", lambda x: x == 0.25)', True),
    ('.containsSocialSecurityNumber("web", lambda x: x == 0.25)', True),
    ('.hasDataType("i", ConstrainableDataTypes.Integral, lambda x: x >= 0.75)', True),
    ('.hasDataType("n", ConstrainableDataTypes.Fractional)', True),
    ('.hasDataType("s", ConstrainableDataTypes.Null, lambda x: x == 0.25)', True),
    ('.isNonNegative("n")', True),  # what is missing passes
    ('.isPositive("n")', False),
    ('.isLessThan("m", "n")', False),  # what is missing fails
    ('.isLessThan("m", "n").where("n is not null and m is not null")', True),
    ('.isLessThanOrEqualTo("id", "id")', True),
    ('.isGreaterThan("id", "n", lambda x: x == 0.25)', True),
    ('.isGreaterThanOrEqualTo("id", "n", lambda x: x == 0.75)', True),
    ('.isContainedIn("s", ["a", "b"])', True),
    ('.isContainedIn("s", ["a"], lambda x: x >= 0.75, "hint")', True),
    ('.isContainedIn("id", 1, 4)', True),
    ('.isContainedIn("id", 1, 4, False, True)', False),
    ('.isContainedIn("s", Array("a", "b"), _ >= 0.9, Some("It should be above 0.9!"))', True),
    ('.customSql("SELECT count(*) FROM primary", lambda x: x == 4)', True),
    (".hasDuplicateRowCount(lambda x: x == 0)", True),
    ('.hasDuplicateRowCount(["s"], lambda x: x == 1)', True),
]


@pytest.mark.parametrize(("code", "holds"), CHECKS, ids=[code for code, _ in CHECKS])
def test_a_method_means_what_it_means_in_deequ(code, holds):
    if holds is None:
        with pytest.raises(InvalidInput, match="no argument that can be read"):
            read_deequ(code)
        return
    (result,) = validate_table(FRAME, read_deequ(code)).results
    assert result.verdict == ("passed" if holds else "failed"), result.message


def test_every_method_is_read_or_says_what_to_use_instead():
    asked = {code[1:].partition("(")[0] for code, _ in CHECKS}
    refused = {"doesDatasetMatch", "hasHistogramBinnedValues", "hasHistogramValues", "kllSketchSatisfies"}
    assert asked | refused == set(METHODS)
    for method in refused:
        with pytest.raises(InvalidInput, match=method) as caught:
            read_deequ(f'.{method}("s", lambda x: x > 1)')
        assert caught.value.hint


def test_a_check_says_its_name_and_level_for_all_of_its_lines():
    suite = read_deequ("""Check(spark, CheckLevel.Warning, "Review Check")
        .isComplete("id")
        .hasSize(lambda x: x >= 1)""")
    assert suite.name == "Review-Check"
    assert {each.severity for each in suite.expectations} == {"warning"}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ('.isComplete("a"', "no chain"),
        ('.isCompleet("a")', "no method of a check"),
        ("__import__('os').system('x')", "no method of a check"),
        ('.hasMin("a", lambda x: x > open("f"))', "no argument"),
        ('.hasMin("a", lambda x: x % 2 == 0)', "no number|no comparison|no argument"),
        ('.where("a > 1")', "follows the constraint"),
        (".isComplete(3)", "argument 1"),
    ],
)
def test_code_is_parsed_and_never_run(code, words):
    with pytest.raises(InvalidInput, match=words):
        read_deequ(code)
