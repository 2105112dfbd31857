// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <prefer/metrics/scored_pairs.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/none.hpp>
#include <support/policy_archetypes.hpp>
#include <train/small_problem.hpp>
#include <vector>

using prefer::score_pairs;
using small::message_of;

TEST_CASE("scored pairs: are the log-probabilities of the policy and of the reference",
          "[objective][scored_pairs]") {
  auto policy = small::policy<prefer::tabular<double>>();
  auto reference = prefer::frozen(prefer::tabular<double>(small::prompts, small::completions));
  auto const data = small::pairs(11);
  auto const scored = score_pairs(policy, reference, data);
  REQUIRE(scored.size() == 11);
  std::vector<double> row(small::completions);
  for (std::size_t g = 0; g < 11; ++g) {
    policy.log_probs(data.prompt[g], row);
    CHECK(scored.chosen.policy[g] == row[data.completion[2 * g]]);
    CHECK(scored.rejected.policy[g] == row[data.completion[2 * g + 1]]);
    CHECK(scored.chosen.reference[g] == Approx(-std::log(5.0)));  // uniform over five
    CHECK(scored.rejected.reference[g] == scored.chosen.reference[g]);
  }
  CHECK_FALSE(scored.columns().length.present());
  CHECK_FALSE(scored.columns().weight.present());
}

TEST_CASE("scored pairs: the cut does not change them", "[objective][scored_pairs]") {
  auto policy = small::policy<prefer::matrix_factorization<float>>();
  prefer::no_reference<float> reference;
  auto const data = small::pairs(11);
  auto const whole = score_pairs(policy, reference, data);
  auto const cut = score_pairs(policy, reference, data, 3);
  CHECK(cut.chosen.policy == whole.chosen.policy);
  CHECK(cut.rejected.policy == whole.rejected.policy);
  CHECK(message_of([&] { (void)score_pairs(policy, reference, data, 0); }) ==
        "score_pairs: micro_batch_size must be at least 1");
}

TEST_CASE("scored pairs: a reference sees row numbers, as caches want them",
          "[objective][scored_pairs]") {
  struct by_row {
    using value_type = double;
    void log_prob(prefer::choice_batch const& batch, std::span<double> out) {
      for (std::size_t g = 0; g < batch.size(); ++g) {
        out[2 * g] = -static_cast<double>(batch.row[g]);
        out[2 * g + 1] = -100;
      }
    }
  } reference;
  auto policy = small::policy<prefer::tabular<double>>();
  auto const scored = score_pairs(policy, reference, small::pairs(5), 2);
  CHECK(scored.chosen.reference == std::vector<double>{-0.0, -1, -2, -3, -4});
}

TEST_CASE("scored pairs: the columns of the data come along", "[objective][scored_pairs]") {
  auto policy = small::policy<prefer::tabular<double>>();
  prefer::no_reference<double> reference;
  auto data = small::with_lengths(small::pairs(2));  // 1 2, 3 1
  data.weight = {1, 2};
  data.beta = {0.5f, 0.25f};
  data.target_margin = {3, 4};
  auto const scored = score_pairs(policy, reference, data);
  auto const columns = scored.columns();
  CHECK(columns.length.chosen[1] == 3);
  CHECK(columns.length.rejected[0] == 2);
  CHECK(columns.weight[1] == 2);
  CHECK(columns.beta[1] == 0.25);
  CHECK(columns.target_margin[0] == 3);
}

TEST_CASE("scored pairs: data that is not pairs is refused", "[objective][scored_pairs]") {
  auto policy = small::policy<prefer::tabular<double>>();
  prefer::no_reference<double> reference;
  CHECK(message_of([&] { (void)score_pairs(policy, reference, small::labelled(4)); }) ==
        "score_pairs: row 0 has 1 completions; a pair has 2");
}

TEST_CASE("scored pairs: ask policy and reference for no more than their concepts say",
          "[objective][scored_pairs]") {
  prefer::test::policy_archetype<> policy(-2.5);
  prefer::test::reference_archetype<> reference(-3.5);
  auto const scored = score_pairs(policy, reference, small::pairs(2));
  CHECK(scored.rejected.policy == std::vector<double>{-2.5, -2.5});
  CHECK(scored.chosen.reference == std::vector<double>{-3.5, -3.5});
}
