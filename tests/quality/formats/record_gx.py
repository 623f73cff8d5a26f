"""Records what Great Expectations 1.24.1 answers, as facts for `test_gx_results.py`.

Run it with the Python of a peer (see `benchmarks/peers.py`), which needs pandas below 3:

    build/bench-venvs/great_expectations/bin/python tests/quality/formats/record_gx.py

It writes `gx_facts.json`: for each case the name, the parameters, the result format and the result.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
N = None

TABLE = {
    "id": list(range(12)),
    "n": [5, 3, 3, 8, 1, 0, -2, 7, 7, 3, 10, 4],
    "f": [1.5, N, 2.5, 2.5, -1.0, 0.0, 100.0, N, 3.0, 2.0, 1.0, 4.5],
    "s": ["a", "bb", N, "é1", "☃x", "", "a", "bb", N, "abc", "A", "a"],
    "j": ['{"a": 1}', "[1, 2]", "{bad", N, "1", '"x"', '{"a": "t"}', "", "null", '{"b": 2}', '{"a": 3}', "nan?"],
    "t": ["2024-01-01", "2024-02-30", "01/02/2024", N, "2024-03-05", "x", "2024-12-31", "", "2024-1-1",
          "2024-05-05 10:00", "5 May 2024", "2024-07-07"],
    "at": ["2024-01-01", "2024-01-02", N, "2024-01-02", "2024-03-01", "2024-02-01", "2023-12-31", "2024-06-01",
           "2024-06-01", N, "2024-06-02", "2024-07-01"],
    "up": [1.0, 2.0, 2.0, N, 3.0, 2.5, 4.0, N, 5.0, 6.0, 6.0, 7.0],
    "a": [1.0, 2.0, 3.0, N, N, 5.0, 6.0, 1.0, 2.0, 3.0, 4.0, 5.0],
    "b": [1.0, 1.0, 4.0, 2.0, N, 5.0, N, 0.0, 2.0, 2.0, 5.0, 5.0],
    "c": [1.0, 3.0, 4.0, 2.0, N, 5.0, 6.0, 1.0, 2.0, 9.0, 5.0, 5.0],
    "o": [True, False, True, True, False, True, True, True, False, False, True, True],
    "k": ['{"a": 1}', "[1, 2]", '{"a": 1.5}', N, "1", '"x"', '{"a": "t"}', "{}", "null", '{"b": 2}', '{"a": 3, "b": 1}',
          '{"a": null}'],
    "none": [N] * 12,
    "const": [3.0] * 12,
    "one": [5.0] + [N] * 11,
}  # fmt: skip


def cases():  # noqa: C901, PLR0912 -- a list
    """(name, kwargs) of every case."""
    out = []

    def add(kind, **kwargs):
        out.append(("expect_" + kind, kwargs))

    for column in ("f", "s", "at", "n", "none"):
        add("column_values_to_be_null", column=column)
        add("column_values_to_not_be_null", column=column)
        add("column_values_to_be_unique", column=column)
    add("column_values_to_not_be_null", column="f", mostly=0.8)
    add("column_values_to_not_be_null", column="f", mostly=0.84)
    add("column_values_to_be_unique", column="n", mostly=0.5)
    for column in ("n", "f"):
        for ends in (
            {"min_value": 1, "max_value": 5},
            {"min_value": 1},
            {"max_value": 3},
            {"min_value": 1, "strict_min": True},
            {"max_value": 3, "strict_max": True},
        ):
            add("column_values_to_be_between", column=column, **ends)
    add("column_values_to_be_between", column="at", min_value="2024-01-01T00:00:00", max_value="2024-06-01T00:00:00")
    add("column_values_to_be_between", column="n", min_value=0, mostly=0.9)
    add("column_values_to_be_between", column="none", min_value=0)
    add("column_values_to_be_in_set", column="s", value_set=["a", "bb", "é1"])
    add("column_values_to_be_in_set", column="n", value_set=[3, 7, 8.0], mostly=0.4)
    add("column_values_to_be_in_set", column="f", value_set=[2.5, 1.5, 3])
    add("column_values_to_not_be_in_set", column="s", value_set=["a", "☃x"])
    add("column_values_to_not_be_in_set", column="n", value_set=[3])
    for regex in ("^a", "[0-9]", "^$", "☃"):
        add("column_values_to_match_regex", column="s", regex=regex)
        add("column_values_to_not_match_regex", column="s", regex=regex)
    for match_on in ("any", "all"):
        add("column_values_to_match_regex_list", column="s", regex_list=["a", "b"], match_on=match_on)
    add("column_values_to_not_match_regex_list", column="s", regex_list=["^b", "[0-9]"])
    add("column_values_to_match_strftime_format", column="t", strftime_format="%Y-%m-%d")
    add("column_values_to_match_strftime_format", column="t", strftime_format="%d/%m/%Y", mostly=0.05)
    add("column_values_to_be_dateutil_parseable", column="t")
    add("column_values_to_be_json_parseable", column="j")
    add(
        "column_values_to_match_json_schema",
        column="k",
        json_schema={"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    )
    for strictly in (False, True):
        add("column_values_to_be_increasing", column="up", strictly=strictly)
        add("column_values_to_be_decreasing", column="up", strictly=strictly)
        add("column_values_to_be_increasing", column="id", strictly=strictly)
    for method, multiplier in (("iqr", 1.5), ("iqr", 0.2), ("std", 1.0), ("std", 3.0)):
        for column in ("f", "n", "none", "const", "one"):
            add("column_values_to_not_be_outliers", column=column, method=method, multiplier=multiplier)
    for ends in (
        {"min_value": 1, "max_value": 2},
        {"min_value": 1, "strict_min": True},
        {"max_value": 2, "strict_max": True},
        {"max_value": 1},
    ):
        add("column_value_lengths_to_be_between", column="s", **ends)
    add("column_value_lengths_to_equal", column="s", value=2)
    for threshold in (0.5, 2.0):
        for double in (True, False):
            for column in ("f", "const", "one"):
                add("column_value_z_scores_to_be_less_than", column=column, threshold=threshold, double_sided=double)
    for what in ("max", "min", "mean", "median", "stdev", "sum"):
        for ends in ({"min_value": 0, "max_value": 10}, {"min_value": 10, "strict_min": True}, {"max_value": 3}, {}):
            for column in ("f", "n"):
                add(f"column_{what}_to_be_between", column=column, **ends)
    add("column_max_to_be_between", column="at", min_value="2024-01-01T00:00:00", max_value="2024-07-01T00:00:00")
    add("column_min_to_be_between", column="at", min_value="2024-01-01T00:00:00")
    for column in ("none",):
        for what in ("max", "mean", "median", "stdev"):
            add(f"column_{what}_to_be_between", column=column, min_value=0)
    for column in ("f", "s", "n"):
        add("column_unique_value_count_to_be_between", column=column, min_value=7, max_value=9)
        add("column_proportion_of_unique_values_to_be_between", column=column, min_value=0.7, strict_min=True)
        add("column_proportion_of_non_null_values_to_be_between", column=column, min_value=0.9)
    for allow in (False, "linear"):
        add(
            "column_quantile_values_to_be_between",
            column="f",
            allow_relative_error=allow,
            quantile_ranges={"quantiles": [0.0, 0.25, 0.5, 0.9], "value_ranges": [[-2, 0], [0.5, 1], [N, 2.1], [3, N]]},
        )
    for allow in ("lower", "higher", "midpoint", "nearest"):
        add(
            "column_quantile_values_to_be_between",
            column="f",
            allow_relative_error=allow,
            quantile_ranges={"quantiles": [0.3, 0.7], "value_ranges": [[1, 2], [1, 3]]},
        )
    for ties in (True, False):
        add("column_most_common_value_to_be_in_set", column="n", value_set=[3], ties_okay=ties)
        add("column_most_common_value_to_be_in_set", column="b", value_set=[2, 5], ties_okay=ties)
        add("column_most_common_value_to_be_in_set", column="t", value_set=["x"], ties_okay=ties)
    for verb in ("be_in", "contain", "equal"):
        add(f"column_distinct_values_to_{verb}_set", column="s", value_set=["a", "bb", "é1", "z"])
        add(f"column_distinct_values_to_{verb}_set", column="n", value_set=[5, 3, 8, 1, 0, -2, 7, 10, 4])
    discrete = {"values": ["a", "bb", "z"], "weights": [0.6, 0.3, 0.1]}
    add("column_kl_divergence_to_be_less_than", column="s", partition_object=discrete, threshold=1.0)
    add(
        "column_kl_divergence_to_be_less_than",
        column="s",
        partition_object=discrete,
        threshold=1.0,
        tail_weight_holdout=0.1,
    )
    bins = {"bins": [-5.0, 0.0, 2.0, 5.0], "weights": [0.2, 0.4, 0.4]}
    add("column_kl_divergence_to_be_less_than", column="f", partition_object=bins, threshold=0.5)
    add(
        "column_kl_divergence_to_be_less_than",
        column="f",
        partition_object=bins,
        threshold=0.5,
        tail_weight_holdout=0.1,
    )
    add(
        "column_kl_divergence_to_be_less_than",
        column="f",
        partition_object={**bins, "weights": [0, 0.5, 0.5]},
        threshold=2,
        tail_weight_holdout=0.1,
        internal_weight_holdout=0.1,
    )
    add(
        "column_kl_divergence_to_be_less_than",
        column="f",
        threshold=2,
        partition_object={"bins": [-5.0, 0.0, 2.0, 5.0], "weights": [0.2, 0.3, 0.3], "tail_weights": [0.1, 0.1]},
    )
    for either in (True, False):
        add("column_pair_values_a_to_be_greater_than_b", column_A="a", column_B="b", or_equal=either)
    for ignore in ("both_values_are_missing", "either_value_is_missing", "never"):
        add("column_pair_values_a_to_be_greater_than_b", column_A="a", column_B="b", ignore_row_if=ignore)
        add("column_pair_values_to_be_equal", column_A="a", column_B="b", ignore_row_if=ignore)
        add(
            "column_pair_values_to_be_in_set",
            column_A="a",
            column_B="b",
            ignore_row_if=ignore,
            value_pairs_set=[[1, 1], [5, 5], [2, 2], [N, 2]],
        )
    add("column_pair_values_to_be_equal", column_A="a", column_B="b", mostly=0.4)
    for ignore in ("all_values_are_missing", "any_value_is_missing", "never"):
        add("compound_columns_to_be_unique", column_list=["a", "b"], ignore_row_if=ignore)
        add("select_column_values_to_be_unique_within_record", column_list=["a", "b", "c"], ignore_row_if=ignore)
        add("multicolumn_sum_to_equal", column_list=["a", "b", "c"], sum_total=15, ignore_row_if=ignore)
        add("multicolumn_values_to_be_equal", column_list=["a", "b", "c"], ignore_row_if=ignore)
    add("column_to_exist", column="a")
    add("column_to_exist", column="zz")
    add("column_to_exist", column="a", column_index=8)
    add("column_to_exist", column="a", column_index=3)
    add("column_to_exist", column="a", column_index=99)
    for column, names in (
        ("n", ["int64", "int", "INTEGER", "float64", "str"]),
        ("f", ["float64", "float", "int"]),
        ("s", ["str", "object", "int"]),
        ("at", ["datetime64", "Timestamp", "datetime64[ns]"]),
        ("o", ["bool", "bool_", "int"]),
    ):
        for name in names:
            add("column_values_to_be_of_type", column=column, type_=name)
        add("column_values_to_be_in_type_list", column=column, type_list=names)
        add("column_values_to_be_in_type_list", column=column, type_list=["INTEGER", "IntegerType"])
    add("table_column_count_to_be_between", min_value=3, max_value=13)
    add("table_column_count_to_be_between", max_value=3)
    add("table_column_count_to_equal", value=16)
    add("table_column_count_to_equal", value=3)
    add("table_row_count_to_be_between", min_value=3, max_value=12)
    add("table_row_count_to_be_between", min_value=30)
    add("table_row_count_to_equal", value=12)
    add("table_row_count_to_equal", value=13)
    names = list(TABLE)
    add("table_columns_to_match_ordered_list", column_list=names)
    add("table_columns_to_match_ordered_list", column_list=[*names[1::-1], *names[2:], "zz"])
    for exact in (True, False):
        add("table_columns_to_match_set", column_set=names[::-1], exact_match=exact)
        add("table_columns_to_match_set", column_set=names[:3], exact_match=exact)
        add("table_columns_to_match_set", column_set=[*names, "zz"], exact_match=exact)
    conditions = [
        ({"row_condition": "n > 3", "condition_parser": "pandas"}),
        ({"row_condition": "n != 3 and f >= 1", "condition_parser": "pandas"}),
        ({"row_condition": "f != 2.5", "condition_parser": "pandas"}),
        ({"row_condition": "s == 'a' or n in [7, 8]", "condition_parser": "pandas"}),
        ({"row_condition": "not (n > 3) & (id < 10)", "condition_parser": "pandas"}),
        ({"row_condition": {"type": "comparison", "column": {"name": "n"}, "operator": ">", "parameter": 3}}),
        ({"row_condition": {"type": "comparison", "column": {"name": "s"}, "operator": "!=", "parameter": "a"}}),
        (
            {
                "row_condition": {
                    "type": "comparison",
                    "column": {"name": "s"},
                    "operator": "NOT_IN",
                    "parameter": ["a", "bb"],
                }
            }
        ),
        ({"row_condition": {"type": "nullity", "column": {"name": "s"}, "is_null": False}}),
        (
            {
                "row_condition": {
                    "type": "or",
                    "conditions": [
                        {"type": "nullity", "column": {"name": "s"}, "is_null": True},
                        {
                            "type": "and",
                            "conditions": [
                                {"type": "comparison", "column": {"name": "n"}, "operator": "<=", "parameter": 3},
                                {
                                    "type": "comparison",
                                    "column": {"name": "s"},
                                    "operator": "IN",
                                    "parameter": ["a", "bb"],
                                },
                            ],
                        },
                    ],
                }
            }
        ),
    ]
    for condition in conditions:
        add("column_values_to_be_between", column="f", min_value=1, **condition)
        add("column_values_to_be_unique", column="n", **condition)
        add("column_mean_to_be_between", column="n", min_value=4, **condition)
    add(
        "column_values_to_be_between",
        column="f",
        min_value=1,
        row_condition='col("n") > 3',
        condition_parser="great_expectations",
    )
    add(
        "column_values_to_be_between",
        column="f",
        min_value=1,
        row_condition='col("s").notNull()',
        condition_parser="great_expectations",
    )
    add("column_pair_values_to_be_equal", column_A="a", column_B="b", row_condition="n > 3", condition_parser="pandas")
    add("table_row_count_to_be_between", min_value=3, max_value=7, row_condition="n > 3", condition_parser="pandas")
    return out


FORMATS = [
    {"result_format": "COMPLETE"},
    {"result_format": "SUMMARY", "partial_unexpected_count": 3},
    {"result_format": "BASIC"},
    {"result_format": "BOOLEAN_ONLY"},
    {"result_format": "COMPLETE", "unexpected_index_column_names": ["id"], "include_unexpected_rows": True},
    {"result_format": "COMPLETE", "exclude_unexpected_values": True},
]


def main():
    """Ask all of it."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    import pandas as pd
    from great_expectations.expectations.registry import get_expectation_impl

    frame = pd.DataFrame(TABLE)
    frame["at"] = pd.to_datetime(frame["at"])
    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_pandas("p").add_dataframe_asset("t")
    batch = asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": frame})
    facts = []
    for index, (name, kwargs) in enumerate(cases()):
        formats = FORMATS if index % 7 == 0 else FORMATS[:1]
        for shape in formats:
            try:
                found = batch.validate(get_expectation_impl(name)(**kwargs), result_format=shape).to_json_dict()
            except Exception as error:  # noqa: BLE001 -- what it refuses is a fact, too
                facts.append({"name": name, "kwargs": kwargs, "format": shape, "error": str(error)[:200]})
                continue
            raised = found["exception_info"]
            if "raised_exception" not in raised:
                raised = next(iter(raised.values()))
            fact = {"name": name, "kwargs": kwargs, "format": shape}
            if raised["raised_exception"]:
                fact["error"] = raised["exception_message"][:200]
            else:
                fact |= {"success": found["success"], "result": found["result"]}
            facts.append(fact)
    body = {
        "great_expectations": gx.__version__,
        "pandas": pd.__version__,
        "table": [[name, values] for name, values in TABLE.items()],
        "facts": facts,
    }
    text = json.dumps(body, ensure_ascii=False, sort_keys=True, default=lambda value: value.item())
    (HERE / "gx_facts.json").write_text(
        text.replace('{"format"', '\n{"format"').replace('{"error"', '\n{"error"') + "\n"
    )
    sys.stderr.write(f"{len(facts)} facts\n")


if __name__ == "__main__":
    main()
