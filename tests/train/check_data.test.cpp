// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <prefer/aggregation/mean_tokens.hpp>
#include <prefer/aggregation/sum_tokens.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/odpo.hpp>
#include <prefer/loss/plackett_luce.hpp>
#include <prefer/loss/pro.hpp>
#include <prefer/loss/r_dpo.hpp>
#include <prefer/loss/rebel.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/loss/sppo.hpp>
#include <prefer/loss/xpo.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/policy/aggregated.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/train/check_data.hpp>
#include <prefer/train/trainer.hpp>
#include <train/small_problem.hpp>

// Data that contradicts what a loss takes it for is refused by row before a step is made.

namespace {

using prefer::choice_data;
using small::message_of;
using tokens = std::vector<std::uint32_t>;

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

choice_data two_pairs() {
  choice_data data;
  data.add_pair(0, 2, 1);
  data.add_pair(1, 0, 2);
  return data;
}

template <class L, class Change>
std::string refusal(L const& loss, choice_data data, Change const& change) {
  change(data);
  return message_of([&] { prefer::check_data(loss, data); });
}

/// Two completions whose tokens differ in number, a table of them, and their pair.
struct token_pair {
  prefer::token_table table;
  choice_data data;

  token_pair() {
    std::uint32_t const chosen = table.add(tokens{3, 1, 2});
    std::uint32_t const rejected = table.add(tokens{3, 0, 2, 1, 1, 1});
    data.add_pair(0, chosen, rejected);
    data.length = table.lengths(data.completion);
  }
};

/// What the constructor of a trainer says.
template <class P, class L>
std::string trainer_refusal(P& policy, L const& loss, choice_data const& data) {
  prefer::frozen reference(policy);
  return message_of([&] { prefer::trainer(policy, loss, reference, data, {.batch_size = 1}); });
}

}  // namespace

TEST_CASE("check_data: a weight below zero would train the opposite, and is refused by row",
          "[train][check_data]") {
  for (float const bad : {-1.0f, not_a_number, infinity}) {
    CHECK(refusal(prefer::dpo{}, two_pairs(),
                  [&](choice_data& d) {
                    d.weight = {1, bad};
                  }) == "trainer: row 1 has weight " + std::to_string(bad) +
                            "; expected a finite number, zero or greater");
  }
  CHECK(refusal(prefer::dpo{}, two_pairs(), [](choice_data& d) { d.weight = {0, 2.5}; }) == "");
}

TEST_CASE("check_data: a label is true or false, and nothing between", "[train][check_data]") {
  choice_data labelled;
  labelled.add_labelled(0, 0, true);
  labelled.add_labelled(1, 1, false);
  for (float const bad : {not_a_number, 0.5f, -1.0f, 2.0f}) {
    CHECK(refusal(prefer::kto{}, labelled, [&](choice_data& d) { d.label[1] = bad; }) ==
          "trainer: row 1 has label " + std::to_string(bad) +
              "; expected true or 1, or false or 0");
  }
  CHECK(refusal(prefer::kto{}, labelled, [](choice_data&) {}) == "");
}

TEST_CASE("check_data: scores are what the loss takes them for", "[train][check_data]") {
  auto const scores = [](std::vector<float> of) { return [of](choice_data& d) { d.score = of; }; };
  CHECK(refusal(prefer::rebel{}, two_pairs(), scores({5, 1, -3, 7})) == "");  // any reward
  CHECK(refusal(prefer::rebel{}, two_pairs(), scores({5, 1, -3, not_a_number})) ==
        "trainer: completion 3 of the data has score " + std::to_string(not_a_number) +
            "; expected a finite number");
  CHECK(refusal(prefer::sppo_soft{}, two_pairs(), scores({0.75f, 0.25f, 1, 0})) == "");
  CHECK(
      refusal(prefer::sppo_soft{}, two_pairs(), scores({0.75f, 0.25f, 5, 1})) ==
      "trainer: completion 2 of the data has score 5.000000; expected a probability, from 0 to 1");
  CHECK(refusal(prefer::odpo{}, two_pairs(), scores({2, 1, -1, -2})) == "");
  CHECK(refusal(prefer::odpo{}, two_pairs(), scores({2, 1, 3, 3})) ==
        "trainer: row 1 has scores 3.000000 and then 3.000000; this loss takes the best completion "
        "first, and the other below it");
  CHECK(refusal(0.5 * prefer::odpo{}, two_pairs(), scores({1, 2, 3, 0})) != "");
}

TEST_CASE("check_data: lists of a ranking do not rise", "[train][check_data]") {
  choice_data lists;
  lists.add_list(0, tokens{0, 1, 2});
  lists.length = {1, 1, 1};
  auto const scores = [](std::vector<float> of) { return [of](choice_data& d) { d.score = of; }; };
  CHECK(refusal(prefer::pro{}, lists, scores({3, 3, 1})) == "");  // ties may be
  CHECK(refusal(prefer::pro{}, lists, scores({3, 1, 2})) ==
        "trainer: row 0 has scores 1.000000 and then 2.000000; this loss takes the best completion "
        "first");
}

TEST_CASE("check_data: margins are finite, and provenance is true or false",
          "[train][check_data]") {
  auto const loss = prefer::pair_loss(
      [](auto const& p) { return softplus(p.target_margin_or(0.0) - p.log_prob_margin()); });
  CHECK(refusal(loss, two_pairs(),
                [](choice_data& d) {
                  d.target_margin = {-2, infinity};
                }) == "trainer: row 1 has target_margin " + std::to_string(infinity) +
                          "; expected a finite number");
  CHECK(
      refusal(prefer::xpo{}, two_pairs(), [](choice_data& d) {
        d.chosen_from_reference = {1, 0.5f};
      }) == "trainer: row 1 has chosen_from_reference 0.500000; expected true or 1, or false or 0");
}

TEST_CASE("trainer: lengths are divided by once", "[train][check_data]") {
  token_pair pair;
  using model = prefer::bigram<double>;
  prefer::aggregated mean(model(4, pair.table), prefer::mean_tokens{});
  prefer::aggregated sum(model(4, pair.table), prefer::sum_tokens{});
  CHECK(trainer_refusal(mean, prefer::simpo{}, pair.data) ==
        "trainer: this loss divides by completion lengths, and this policy's log_prob is per token "
        "already; take sum_tokens, or the lengths of aggregated::length: completion 0 of the data "
        "has length 3.000000, expected 1.000000");
  CHECK(trainer_refusal(sum, prefer::simpo{}, pair.data) == "");
  CHECK(trainer_refusal(mean, prefer::dpo{}, pair.data) == "");
  CHECK(trainer_refusal(mean, prefer::r_dpo{}, pair.data) == "");  // it compares lengths
  mean.length(pair.data.batch(), pair.data.length);
  CHECK(trainer_refusal(mean, prefer::simpo{}, pair.data) == "");
}

TEST_CASE("trainer: a pair of equal tokens prefers nothing, whatever their numbers are",
          "[train][check_data]") {
  token_pair pair;
  std::uint32_t const again = pair.table.add(tokens{3, 1, 2});
  prefer::bigram<double> policy(4, pair.table);
  prefer::aggregated sum(prefer::bigram<double>(4, pair.table), prefer::sum_tokens{});
  choice_data data;
  data.add_pair(0, 0, 1);
  data.add_pair(0, 0, again);
  std::string const sentence =
      "trainer: row 1 prefers a completion to itself: 0 and 2 are the same";
  CHECK(trainer_refusal(policy, prefer::dpo{}, data) == sentence);
  CHECK(trainer_refusal(sum, prefer::dpo{}, data) == sentence);
  choice_data lists;
  lists.add_list(0, tokens{0, 1, again});
  CHECK(trainer_refusal(policy, prefer::plackett_luce{}, lists) ==
        "trainer: row 0 prefers a completion to itself: 0 and 2 are the same");
  // Filled in by hand, past add_pair.
  choice_data by_hand = two_pairs();
  by_hand.completion[1] = by_hand.completion[0];
  prefer::tabular<double> table(2, 3);
  CHECK(trainer_refusal(table, prefer::dpo{}, by_hand) ==
        "trainer: row 0 prefers a completion to itself: 2 and 2 are the same");
}
