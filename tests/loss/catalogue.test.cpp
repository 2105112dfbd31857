// SPDX-License-Identifier: MIT
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include <catch2/catch.hpp>

#include <prefer/loss/catalogue.hpp>
#include <prefer/loss/meaning.hpp>
#include <prefer/objective/evaluate.hpp>

using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

namespace {

std::string name_of(std::string const& written) {
  std::string out;
  prefer::with_loss(written,
                    [&]<prefer::Loss L>(L const&, prefer::loss_info const&) { out = L::name; });
  return out;
}

std::string name_of_or_empty(std::string const& written) {
  try {
    return name_of(written);
  } catch (prefer::precondition_error const&) {
    return "";
  }
}

template <class Act>
std::string complaint(Act act) {
  try {
    act();
  } catch (prefer::precondition_error const& error) {
    return error.what();
  }
  return "no complaint";
}

template <class L>
std::string complaint_about(std::string const& name, double value) {
  return complaint([&] {
    L loss;
    prefer::set_parameter(loss, name, value);
  });
}

}  // namespace

TEST_CASE("catalogue: every loss is found by its own name, once", "[loss][catalogue]") {
  std::set<std::string> names;
  prefer::for_each_loss([&]<prefer::Loss L>(L const&, prefer::loss_info const& info) {
    CHECK(names.insert(L::name).second);
    CHECK(name_of(L::name) == L::name);
    CHECK(*info.summary != '\0');
    CHECK(*info.paper != '\0');
  });
  CHECK(names.size() == 67);
}

TEST_CASE("catalogue: a loss that reads scores says what they are, and no other does",
          "[loss][catalogue]") {
  prefer::for_each_loss([&]<prefer::Loss L>(L const&, prefer::loss_info const&) {
    INFO(L::name);
    bool const reads = prefer::needs<L>.contains(prefer::column_name::score);
    prefer::score_kind const kind = prefer::meaning_of<L>.score;
    CHECK((kind != prefer::score_kind::none) == reads);
    CHECK((*to_string(kind) != '\0') == reads);
  });
}

TEST_CASE("catalogue: where rewards must be ordered, the wrong order gives no loss",
          "[loss][catalogue]") {
  // log of a negative offset
  double const one[] = {-1.0};
  double const low[] = {0.25};
  double const high[] = {0.5};
  prefer::completions const same{.chosen = one, .rejected = one};
  STATIC_REQUIRE(prefer::meaning_of<prefer::odpo>.score == prefer::score_kind::ordered_reward);
  auto const wrong = prefer::evaluate(
      prefer::odpo{},
      prefer::pair_columns{
          .policy = same, .reference = same, .score = {.chosen = low, .rejected = high}});
  CHECK_FALSE(wrong.loss > 0.0);
  auto const right = prefer::evaluate(
      prefer::odpo{},
      prefer::pair_columns{
          .policy = same, .reference = same, .score = {.chosen = high, .rejected = low}});
  CHECK(right.loss > 0.0);
}

TEST_CASE("catalogue: TRL's name of a loss leads to the same formula", "[loss][catalogue]") {
  CHECK(name_of("sigmoid") == "dpo");
  CHECK(name_of("sft") == "nll_per_batch_token");  // a mean over the batch's tokens
  prefer::for_each_loss([&]<prefer::Loss L>(L const&, prefer::loss_info const& info) {
    if (*info.trl != '\0') CHECK(name_of(info.trl) == L::name);
  });
}

TEST_CASE("catalogue: a name that means something else is refused with the difference",
          "[loss][catalogue]") {
  CHECK_THAT(complaint([] { name_of("cdpo"); }), Contains("dpo with label_smoothing > 0"));
  CHECK_THAT(complaint([] { name_of("step_dpo"); }), Contains("dpo on one step"));
  CHECK_THAT(complaint_about<prefer::simpo>("gamma_beta_ratio", 0.5), Contains("ratio"));
  CHECK_THAT(complaint_about<prefer::simpo>("cpo_alpha", 1.0), Contains("not part of simpo"));
}

TEST_CASE("catalogue: a name refused points to a header that is there", "[loss][catalogue]") {
  int pointed = 0;
  for (auto const& refused : prefer::detail::refused_losses) {
    std::string const reason = refused.reason;
    CAPTURE(reason);
    CHECK(name_of_or_empty(std::string(refused.written)).empty());
    auto const header = reason.rfind(' ') + 1;
    if (reason.find(".hpp") == std::string::npos) continue;
    ++pointed;
    CHECK(std::ifstream(PREFER_SOURCE_DIR "/include/prefer/" + reason.substr(header)).good());
  }
  CHECK(pointed == 4);
}

TEST_CASE("catalogue: every other name of a loss or a parameter leads to one that is there",
          "[loss][catalogue]") {
  for (auto const& alias : prefer::detail::loss_aliases) {
    CHECK(name_of(std::string(alias.written)) == alias.ours);
  }
  std::size_t found = 0;
  prefer::for_each_loss([&]<prefer::Loss L>(L const& loss, prefer::loss_info const&) {
    for (auto const& alias : prefer::detail::parameter_aliases) {
      auto const dot = alias.written.find('.');
      if (alias.written.substr(0, dot) != L::name) continue;
      ++found;
      CAPTURE(alias.written);
      CHECK(prefer::has_parameter(loss, alias.ours));
      CHECK(prefer::has_parameter(loss, alias.written.substr(dot + 1)));
    }
  });
  CHECK(found == std::size(prefer::detail::parameter_aliases));
}

TEST_CASE("catalogue: an unknown loss is answered with the nearest one", "[loss][catalogue]") {
  CHECK_THAT(complaint([] { name_of("simpoo"); }), Contains("did you mean \"simpo\"?"));
  CHECK_THAT(complaint([] { name_of("sigmod"); }), Contains("did you mean \"sigmoid\"?"));
  CHECK_THAT(complaint([] { name_of("quadratic"); }),
             Contains("known: dpo, robust_dpo, ipo, ipo_sum, hinge") && !Contains("did you mean"));
  CHECK_THAT(complaint([] { name_of(""); }),
             Contains("no loss is named \"\"") && !Contains("did you"));
}

TEST_CASE("catalogue: the beginning of a name is answered with a name that begins so",
          "[loss][catalogue]") {
  std::set<std::string> names;
  prefer::for_each_loss(
      [&]<prefer::Loss L>(L const&, prefer::loss_info const&) { names.insert(L::name); });
  std::size_t beginnings = 0;
  for (auto const& name : names) {
    for (std::size_t letters = 2; letters < name.size(); ++letters) {
      std::string const begun = name.substr(0, letters);
      if (!name_of_or_empty(begun).empty()) continue;  // a name itself
      std::string const said = complaint([&] { name_of(begun); });
      if (said.find("no loss is named \"" + begun + "\": ") == 0) continue;  // refused by name
      INFO(said);
      CHECK_THAT(said, Contains("did you mean \"" + begun));
      ++beginnings;
    }
  }
  CHECK(beginnings > 3 * names.size());
  CHECK_THAT(complaint([] { name_of("sppo"); }), Contains("did you mean \"sppo_hard\"?"));
  CHECK_THAT(complaint([] { name_of("SPPO"); }), Contains("did you mean \"sppo_hard\"?"));
}

TEST_CASE("catalogue: a parameter is set by our name or by TRL's", "[loss][catalogue]") {
  prefer::simpo simpo;
  prefer::set_parameter(simpo, "gamma", 0.25);
  CHECK(simpo.gamma == 0.25);
  prefer::set_parameter(simpo, "simpo_gamma", 0.5);
  CHECK(simpo.gamma == 0.5);
  CHECK(prefer::has_parameter(simpo, "simpo_gamma"));
  CHECK_FALSE(prefer::has_parameter(prefer::dpo{}, "simpo_gamma"));

  prefer::kto kto;
  prefer::set_parameter(kto, "undesirable_weight", 1.5);
  CHECK(kto.undesirable_weight == 1.5);
  CHECK(kto.desirable_weight == 1.0);
}

TEST_CASE("catalogue: a value out of range is refused in the parameter's words, by name",
          "[loss][catalogue]") {
  CHECK(complaint_about<prefer::dpo>("beta", 0.0) ==
        "dpo: beta is 0, expected a finite number greater than zero");
  CHECK_THAT(complaint_about<prefer::dpo>("label_smoothing", 0.5),
             StartsWith("dpo: label_smoothing is 0.5, expected"));
  CHECK_THAT(complaint_about<prefer::kto>("desirable_weight", -1.0),
             StartsWith("kto: desirable_weight is -1, expected"));
  prefer::dpo dpo{.beta = 0.3};
  CHECK_THROWS_AS(prefer::set_parameter(dpo, "beta", -1.0), prefer::precondition_error);
  CHECK(dpo.beta == 0.3);  // unchanged
}

TEST_CASE("catalogue: a composed loss has the parameters of its parts", "[loss][catalogue]") {
  auto scaled = 0.5 * prefer::dpo{};
  prefer::set_parameter(scaled, "beta", 0.3);
  CHECK(scaled.loss.beta == 0.3);
  prefer::set_parameter(scaled, "weight", 2.0);
  CHECK(scaled.weight == 2.0);
  CHECK_THROWS_WITH(prefer::set_parameter(scaled, "beta", -1.0),
                    "dpo: beta is -1, expected a finite number greater than zero");
  auto sum = prefer::nll{} + prefer::hinge{};
  prefer::set_parameter(sum, "beta", 0.4);
  CHECK(sum.second.beta == 0.4);
  CHECK_THROWS_WITH(prefer::set_parameter(sum, "gamma", 1.0),
                    StartsWith("this loss has no hyper-parameter \"gamma\""));
}

TEST_CASE("catalogue: an unknown parameter is answered with those there are", "[loss][catalogue]") {
  CHECK_THAT(
      complaint_about<prefer::dpo>("bta", 1.0),
      StartsWith("dpo has no hyper-parameter \"bta\"") && Contains("did you mean \"beta\"?"));
  CHECK_THAT(complaint_about<prefer::dpo>("gamma", 1.0), EndsWith("known: beta, label_smoothing"));
  CHECK_THAT(complaint_about<prefer::nll>("beta", 1.0), EndsWith("it has none"));
}
