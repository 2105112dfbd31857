// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include <prefer/data/reference_columns.hpp>
#include <prefer/reference/cached.hpp>

#include "error_of.hpp"
#include "temporary_file.hpp"

namespace data = prefer::data;
using prefer::choice_data;

namespace {

choice_data two_pairs() {
  choice_data out;
  out.add_pair(0, 1, 2);
  out.add_pair(1, 2, 0);
  return out;
}
choice_data labelled() {
  choice_data out;
  out.add_labelled(0, 1, true);
  out.add_labelled(1, 2, false);
  return out;
}
data::reference_names named(std::vector<std::string> columns) {
  return {.columns = std::move(columns)};
}

std::string json_error(std::string const& text, choice_data const& rows = two_pairs(),
                       data::reference_names const& names = {}) {
  return error_of([&] { (void)data::reference_columns_in_json(text, rows, names, "f"); });
}
std::string csv_error(std::string const& text, choice_data const& rows = two_pairs(),
                      data::reference_names const& names = {}) {
  return error_of([&] { (void)data::reference_columns_in_csv(text, rows, names, "f"); });
}
std::string const header_line = "ref_chosen_logps,ref_rejected_logps\n";
std::string const where = "data::reference_columns: f";

}  // namespace

TEST_CASE("reference columns: pairs by TRL's names, from JSON and from CSV",
          "[data][reference_columns]") {
  std::vector<double> const expected = {-1.5, -2.25, 0.0, -1e3};
  CHECK(data::reference_columns_in_json(
            "{\"ref_chosen_logps\": -1.5, \"ref_rejected_logps\": -2.25, \"prompt\": \"a\"}\n"
            "{\"ref_rejected_logps\": -1000, \"ref_chosen_logps\": 0}\n",
            two_pairs())
            .log_prob == expected);
  CHECK(data::reference_columns_in_csv("id,ref_rejected_logps,ref_chosen_logps\n"
                                       "7,-2.25,-1.5\n8,-1e3,0\n",
                                       two_pairs())
            .log_prob == expected);
}

TEST_CASE("reference columns: a CSV cell may be quoted and hold commas and quotes",
          "[data][reference_columns]") {
  CHECK(data::reference_columns_in_csv(
            "\"text, quoted\",logps\n\"a, \"\"b\"\", c\",-1\n\"\",\"-2\"\n", labelled(),
            named({"logps"}))
            .log_prob == std::vector<double>{-1, -2});
  CHECK(csv_error("text,logps\n\"a,-1\n", labelled(), named({"logps"})) ==
        where +
            ":2: a quoted cell does not end on its line; line ends inside cells are not read here");
  CHECK(csv_error("text,logps\n\"a\"b,-1\n", labelled(), named({"logps"})) ==
        where + ":2: there is text behind the closing quote of cell 1");
}

TEST_CASE("reference columns: lists of any length are JSON lists", "[data][reference_columns]") {
  choice_data lists;
  lists.add_list(0, std::vector<std::uint32_t>{0, 1, 2});
  lists.add_list(1, std::vector<std::uint32_t>{3});
  std::string const good = "{\"logps\": [-1, -2, -3]}\n";
  CHECK(data::reference_columns_in_json(good + "{\"logps\": [-4]}\n", lists, named({"logps"}))
            .log_prob == std::vector<double>{-1, -2, -3, -4});
  CHECK(json_error(good + "{\"logps\": [-4, -5]}\n", lists, named({"logps"})) ==
        where + ":2: field \"logps\": found a list of 2; expected 1, one number per completion");
  CHECK(json_error("{\"logps\": [-4, \"x\", -1]}\n", lists, named({"logps"})) ==
        where + ":1: field \"logps\": found the string \"x\"; expected a finite number");
  CHECK(csv_error("logps\n-1\n", lists, named({"logps"})) ==
        where + ":2: the row has 3 completions in the data set and 1 column was named");
}

TEST_CASE("reference columns: KL examples have a column where the data has them",
          "[data][reference_columns]") {
  auto rows = labelled();
  auto const names = named({"ref_logps"});
  std::string const text =
      "{\"ref_logps\": -1, \"ref_KL_logps\": -5}\n{\"ref_logps\": -2, \"ref_KL_logps\": -6}\n";
  CHECK(data::reference_columns_in_json(text, rows, names).kl_examples.empty());
  rows.pair_with_others();
  for (auto const& numbers :
       {data::reference_columns_in_json(text, rows, names),
        data::reference_columns_in_csv("ref_KL_logps,ref_logps\n-5,-1\n-6,-2\n", rows, names)}) {
    CHECK(numbers.log_prob == std::vector<double>{-1, -2});
    CHECK(numbers.kl_examples == std::vector<double>{-5, -6});
    CHECK_NOTHROW(prefer::cached<float>::given(numbers.log_prob, rows, 7, numbers.kl_examples));
  }
  CHECK(json_error("{\"ref_logps\": -1}\n", rows, names) ==
        where + ":1: field \"ref_KL_logps\" is missing; expected a number of this name");
  CHECK_THAT(csv_error("ref_logps\n-1\n", rows, names),
             Catch::Contains("f:1: column \"ref_KL_logps\" is missing in the header"));
}

TEST_CASE("reference columns: files by their ending", "[data][reference_columns]") {
  std::vector<double> const expected = {-1, -2, -3, -4};
  temporary_file const csv("logps.csv", header_line + "-1,-2\n-3,-4\n");
  CHECK(data::reference_columns(csv.path(), two_pairs()).log_prob == expected);
  temporary_file const json("logps.jsonl",
                            "{\"ref_chosen_logps\": -1, \"ref_rejected_logps\": -2}\n"
                            "{\"ref_chosen_logps\": -3, \"ref_rejected_logps\": -4}\n");
  CHECK(data::reference_columns(json.path(), two_pairs()).log_prob == expected);
  temporary_file const wrong("bad.csv", header_line + "-1,-2\n-3,0.25\n");
  CHECK(error_of([&] { (void)data::reference_columns(wrong.path(), two_pairs()); }) ==
        "data::reference_columns: " + wrong.path() +
            ":3: column \"ref_rejected_logps\": found 0.250000; expected a log-probability, finite "
            "and at most 0");
  CHECK_THAT(error_of([&] { (void)data::reference_columns("/nowhere/x.csv", two_pairs()); }),
             Catch::Contains("/nowhere/x.csv: cannot open file"));
}

TEST_CASE("reference columns: are a reference in two lines", "[data][reference_columns][docs]") {
  auto const rows = two_pairs();
  temporary_file const file("other-model.csv", header_line + "-1,-2\n-3,-4\n");
  std::string const path = file.path();
  std::uint64_t const identity = 7;
  // [columns]
  auto const numbers = prefer::data::reference_columns(path, rows);  // ref_chosen_logps, ...
  auto reference = prefer::cached<float>::given(numbers.log_prob, rows, identity);
  // [/columns]
  std::vector<std::size_t> const first = {0};
  auto batch = rows.batch();
  batch.prompt = batch.prompt.first(1);
  batch.completion = batch.completion.first(2);
  batch.offset = batch.offset.first(2);
  batch.row = first;
  std::vector<float> out(2);
  reference.log_prob(batch, out);
  CHECK(out == std::vector<float>{-1, -2});
}

TEST_CASE("reference columns: as many rows as the data, or an error", "[data][reference_columns]") {
  CHECK(csv_error(header_line + "-1,-2\n") == where + ": there are 1 rows; the data set has 2");
  CHECK(csv_error(header_line + "-1,-2\n-1,-2\n-1,-2\n") ==
        where + ":4: there are more rows than the 2 of the data set");
  std::string const row = "{\"ref_chosen_logps\": -1, \"ref_rejected_logps\": -2}\n";
  CHECK(json_error(row) == where + ": there are 1 rows; the data set has 2");
  CHECK(json_error(row + row + row) ==
        where + ":3: there are more rows than the 2 of the data set");
  CHECK(csv_error(header_line) == where + ": there are 0 rows; the data set has 2");
}

TEST_CASE("reference columns: what is no log-probability is an error",
          "[data][reference_columns]") {
  for (std::string const cell : {"nan", "-inf", "x", "", " -1", "-1 ", "-1e999"}) {
    CAPTURE(cell);
    CHECK(csv_error(header_line + "-1," + cell + "\n") ==
          where + ":2: column \"ref_rejected_logps\": found \"" + cell +
              "\"; expected a log-probability, finite and at most 0");
  }
  CHECK(json_error("{\"ref_chosen_logps\": 0.5, \"ref_rejected_logps\": -2}\n") ==
        where +
            ":1: column \"ref_chosen_logps\": found 0.500000; expected a log-probability, "
            "finite and at most 0");
  CHECK_THAT(json_error("{\"ref_chosen_logps\": NaN, \"ref_rejected_logps\": -2}\n"),
             Catch::Contains("f:1: field \"ref_chosen_logps\": found NaN"));
  CHECK(json_error("{\"ref_chosen_logps\": \"-1\", \"ref_rejected_logps\": -2}\n") ==
        where +
            ":1: field \"ref_chosen_logps\": found the string \"-1\"; expected a finite number");
}

TEST_CASE("reference columns: a column that is missing, misspelt or twice there is an error",
          "[data][reference_columns]") {
  CHECK(csv_error("ref_chosen_logps,x\n-1,-2\n") ==
        where +
            ":1: column \"ref_rejected_logps\" is missing in the header \"ref_chosen_logps,x\"");
  CHECK(csv_error("ref_chosen_logps,ref_rejected_logps,ref_chosen_logps\n-1,-2,-3\n") ==
        where + ":1: column \"ref_chosen_logps\" is named twice in the header");
  CHECK(csv_error(header_line + "-1,-2,-3\n") ==
        where + ":2: found 3 cells; expected 2 as in the header");
  CHECK(csv_error(header_line + "-1") ==
        where + ":2: found 1 cells; expected 2 as in the header (the file is truncated)");
  CHECK_THAT(json_error("{\"ref_choosen_logps\": -1, \"ref_rejected_logps\": -2}\n"),
             Catch::Contains("is \"ref_choosen_logps\" a misspelling of it?"));
  CHECK_THAT(csv_error(""), Catch::Contains("there is nothing in it"));
  CHECK_THROWS_AS(data::reference_columns_in_csv(header_line, two_pairs(), named({})),
                  prefer::precondition_error);
}

TEST_CASE("reference columns: pairs need two columns", "[data][reference_columns]") {
  CHECK(json_error("{\"logps\": -1}\n", two_pairs(), named({"logps"})) ==
        where + ":1: the row has 2 completions in the data set and 1 column was named");
}
