// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/data/forms.hpp>
#include <prefer/data/preference.hpp>

#include "error_of.hpp"

namespace data = prefer::data;
using Catch::Contains;
using Catch::StartsWith;
using data::json;

namespace {

/// A row in one public form, and what it says.
struct specimen {
  std::string name;
  std::string form;
  bool labelled;
  std::string row;
  json expected;
};

std::vector<specimen> const& specimens() {
  static auto const all = [] {
    std::vector<specimen> out;
    for (auto const& row : data::json_lines(PREFER_SOURCE_DIR "/tests/data/forms/forms.jsonl")) {
      out.push_back({data::text(row, "name"), data::text(row, "form"), data::truth(row, "labelled"),
                     row.fields.at("row").dump(), row.fields.at("expected")});
    }
    return out;
  }();
  return all;
}

/// A row written in TRL's form, whose members are compared without regard to their order.
nlohmann::json written(specimen const& of, data::reading const& how, data::reading_report& report) {
  std::string text;
  if (of.labelled) {
    for (auto& each : data::unpaired_in(of.row, "f", how, &report)) text += data::to_json(each);
  } else {
    for (auto& each : data::pairs_in(of.row, "f", how, &report)) text += data::to_json(each);
  }
  return nlohmann::json::parse(text);
}

std::string objection(std::string_view line, data::reading const& how = {}) {
  std::string const error = error_in(data::pairs_in(line, "f", how));
  std::string const start = "data::pairs: f:1: ";
  return error.starts_with(start) ? error.substr(start.size()) : error;
}
std::vector<data::preference_pair> all_pairs(std::string_view text, data::reading const& how,
                                             data::reading_report& report) {
  std::vector<data::preference_pair> out;
  for (auto& pair : data::pairs_in(text, "f", how, &report)) out.push_back(pair);
  return out;
}

std::string battle(std::string const& winner) {
  return R"({"prompt":"q","response_a":"first","response_b":"second","winner":")" + winner +
         "\"}\n";
}

/// Calls visit(place) for every value in a tree, the root aside.
template <class Visit>
void for_every_value(json& tree, Visit const& visit) {
  for (json& value : tree) {
    visit(value);
    if (value.is_structured()) for_every_value(value, visit);
  }
}

}  // namespace

TEST_CASE("forms: a row with anything in any place is kept or refused with its line",
          "[data][forms]") {
  json const others[] = {nullptr, json::array(), json::object(), "", 7, -1.5, true, {"x"}};
  std::size_t tried = 0;
  for (specimen const& of : specimens()) {
    json row = json::parse(of.row);
    for_every_value(row, [&](json& value) {
      json const before = value;
      for (json const& other : others) {
        value = other;
        std::string const text = row.dump();
        CAPTURE(of.name, text);
        for (std::string const& error :
             {error_in(data::pairs_in(text, "f")), error_in(data::unpaired_in(text, "f")),
              error_in(data::scored_in(text, "f"))}) {
          REQUIRE((error == "no error" || error.find(": f:1: ") != std::string::npos));
        }
        ++tried;
      }
      value = before;
    });
  }
  REQUIRE(tried > 1000);
}

TEST_CASE("forms: a list of no completions is refused", "[data][forms]") {
  for (auto const* const row :
       {R"({"instruction":"q","completions":[]})", R"({"prompt":"q","answers":[]})",
        R"({"prompt":"q","completions":[],"scores":[]})"}) {
    REQUIRE(objection(row) ==
            "the list of completions is empty; expected completions of one prompt");
  }
}

TEST_CASE("forms: a row of each public form is what it says, by detection and by name",
          "[data][forms]") {
  REQUIRE(specimens().size() == 24);
  for (specimen const& of : specimens()) {
    CAPTURE(of.name);
    for (std::string const& form : {std::string(), of.form}) {
      CAPTURE(form);
      data::reading_report report;
      REQUIRE(written(of, {.form = form}, report) == nlohmann::json::parse(of.expected.dump()));
      REQUIRE(report.forms.size() == 1);
      REQUIRE_THAT(report.forms.begin()->first, StartsWith(of.form + ": "));
      REQUIRE_THAT(to_sentences(report).at(0),
                   StartsWith(of.form + ": ") && Catch::EndsWith("1 row (line 1)"));
    }
  }
}

TEST_CASE("forms: a row that was written is read as the same", "[data][forms]") {
  for (specimen const& of : specimens()) {
    CAPTURE(of.name);
    data::reading_report report;
    auto const once = written(of, {}, report);
    specimen again = of;
    again.row = once.dump();
    REQUIRE(written(again, {}, report) == once);
  }
}

TEST_CASE("forms: every one but the rarest has a row in the corpus, and names are single",
          "[data][forms]") {
  std::set<std::string> names;
  std::set<std::string> shown;
  for (specimen const& of : specimens()) shown.insert(of.form);
  for (data::form const& each : data::all_forms()) {
    REQUIRE(names.insert(std::string(each.name)).second);
    REQUIRE(each.says.size() < 160);
  }
  for (auto const* const rare :
       {"query-response", "shp", "arena-responses", "scored-lists", "trl-prompt-completion"}) {
    shown.insert(rare);
  }
  REQUIRE(names == shown);
}

TEST_CASE("forms: those without a row in the corpus", "[data][forms]") {
  data::reading_report report;
  auto const pairs = all_pairs(
      "{\"query\":\"q\",\"response\":\"a\",\"rejected_response\":\"b\"}\n"
      "{\"history\":\"q\",\"human_ref_A\":\"b\",\"human_ref_B\":\"a\",\"labels\":0}\n" +
          battle("model_a") + "{\"prompt\":\"q\",\"completions\":[\"b\",\"a\"],\"scores\":[1,2]}\n",
      {}, report);
  REQUIRE(pairs.size() == 4);
  REQUIRE(pairs[0].chosen.text() == "a");
  REQUIRE(pairs[1].chosen.text() == "a");
  REQUIRE(pairs[2].chosen.text() == "first");
  REQUIRE(pairs[3].chosen.text() == "a");
  REQUIRE(report.forms.size() == 4);
}

TEST_CASE(
    "forms: a completion without a label is desirable where the form is named, and nowhere else",
    "[data][forms]") {
  std::string const row = R"({"prompt":"Name a knot.","completion":"Bowline."})";
  CHECK_THAT(error_in(data::unpaired_in(row, "f")), Contains("\"label\" is missing"));
  data::reading const named{.form = "trl-prompt-completion"};
  auto rows = data::unpaired_in(row, "f", named);
  auto const& only = *rows.begin();
  CHECK(only.prompt.text() == "Name a knot.");
  CHECK(only.completion.text() == "Bowline.");
  CHECK(only.label);
}

TEST_CASE("forms: ties are dropped and counted, halved, or kept", "[data][forms]") {
  std::string const rows = battle("tie") + battle("model_b") + battle("tie (bothbad)");
  data::reading_report report;
  auto const dropped = all_pairs(rows, {}, report);
  REQUIRE(dropped.size() == 1);
  REQUIRE(report.tied.count == 2);
  auto const halved = all_pairs(rows, {.ties = data::tied_rows::halved}, report);
  REQUIRE(halved.size() == 5);
  REQUIRE(halved[0].weight == 0.5);
  REQUIRE(halved[0].chosen == halved[1].rejected);
  REQUIRE(halved[1].chosen == halved[0].rejected);
  REQUIRE_FALSE(halved[2].weight.has_value());
  REQUIRE(all_pairs(rows, {.ties = data::tied_rows::kept}, report).size() == 3);
  REQUIRE_THAT(objection(battle("both")),
               StartsWith("field \"winner\": found the string \"both\"; expected model_a"));
}

TEST_CASE("forms: scored completions are the best against the worst, all pairs, or a list",
          "[data][forms]") {
  std::string const row = R"({"prompt":"q","completions":["c","a","b","bb"],"scores":[1,4,3,3]})";
  data::reading_report report;
  auto const one = all_pairs(row, {}, report);
  REQUIRE(one.size() == 1);
  REQUIRE(one[0].chosen.text() == "a");
  REQUIRE(one[0].rejected.text() == "c");
  REQUIRE(one[0].score_margin() == 3.0);
  // 4 * 3 / 2 pairs, one of which has equal scores.
  REQUIRE(all_pairs(row, {.scored = data::scored_rows::all_pairs}, report).size() == 5);
  REQUIRE(report.level.count == 1);
  auto const list = *data::scored_in(row).begin();
  REQUIRE(list.score == std::vector<double>{4, 3, 3, 1});
  REQUIRE(list.completions.at(1).text() == "b");
  REQUIRE(
      all_pairs(R"({"prompt":"q","completions":["a","b"],"scores":[1,1]})", {}, report).empty());
}

TEST_CASE("forms: detection that is unknown or clashes says what was found", "[data][forms]") {
  REQUIRE(
      objection(R"({"text":"x","score":1})") ==
      "no form of preferences is known with the fields \"text\", \"score\"; expected \"prompt\", "
      "\"chosen\", \"rejected\", or those of another form (see --format)");
  REQUIRE_THAT(objection(R"({"messages":[],"rejected_response":"a","rejected_messages":[]})"),
               Contains("fit the forms rejected-response and rejected-messages; expected one"));
  REQUIRE_THAT(objection(R"({"prompt":"p","completion":"c","label":true})"),
               StartsWith("the row is of the form trl-unpaired, one completion with a label"));
  REQUIRE_THAT(objection(R"({"prompt":"p","choosen":"a","rejected":"b"})"),
               Contains("is \"choosen\" a misspelling of it?"));
  REQUIRE_THROWS_AS(data::form_named("trll", false), prefer::precondition_error);
}

TEST_CASE("forms: a misspelt field is named with what it is near, whatever the form",
          "[data][forms]") {
  for (specimen const& of : specimens()) {
    if (of.labelled) continue;
    data::form const& is = data::form_named(of.form, false);
    for (std::string_view const needed : is.needs) {
      // Of two fields that number each other, either may have been meant.
      if ((of.form == "sharegpt" || of.form == "messages") && needed == is.needs.front()) {
        continue;  // without its prompt the row is TRL's
      }
      if (needed.size() < 4 || (needed.back() >= '0' && needed.back() <= '9')) continue;
      std::string misspelt(needed);
      std::swap(misspelt[misspelt.size() - 2], misspelt[misspelt.size() - 3]);
      json const before = json::parse(of.row);
      json row = json::object();
      for (auto const& [name, value] : before.items()) {
        row[name == needed ? misspelt : name] = value;
      }
      CAPTURE(of.name, misspelt);
      REQUIRE_THAT(objection(row.dump()), Contains(data::in_quotes(misspelt)) ||
                                              Contains(data::in_quotes(needed)) ||
                                              Contains("looks like it"));
    }
  }
  REQUIRE(objection(R"({"prompt":"q","answesr":[{"answer":"a","rank":1}]})") ==
          "field \"answers\" is missing; expected \"prompt\", \"answers\"; is \"answesr\" a "
          "misspelling of it?");
  REQUIRE_THAT(objection(R"({"prompt":"q","response1":"a","overall_preference":1})"),
               Catch::EndsWith("\"response2\", \"overall_preference\""));  // response1 is not it
}

TEST_CASE("columns: a field that no row has is an error, and so are two for one name",
          "[data][forms]") {
  data::reading const how{
      .columns = {{.as = "prompt", .in_file = "q"}, {.as = "weight", .in_file = "w"}}};
  REQUIRE(error_in(data::pairs_in(R"({"q":"p","chosen":"a","rejected":"b"})", "f", how)) ==
          "data::pairs: f: no row has a field \"w\", which is to be read as \"weight\"");
  REQUIRE_THAT(objection(R"({"q":"p","prompt":"x","chosen":"a","rejected":"b"})", how),
               StartsWith("there are both \"prompt\" and \"q\""));
  // Two names can change places.
  data::reading const swapped{.columns = {{.as = "chosen", .in_file = "rejected"},
                                          {.as = "rejected", .in_file = "chosen"}}};
  data::reading_report report;
  REQUIRE(all_pairs(R"({"prompt":"p","chosen":"a","rejected":"b"})", swapped, report)
              .at(0)
              .chosen.text() == "b");
}
