// SPDX-License-Identifier: MIT
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/loss/odpo.hpp>
#include <prefer/loss/plackett_luce.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/loss/softmax_dpo.hpp>
#include <prefer/loss/tdpo.hpp>
#include <prefer/loss/xpo.hpp>
#include <prefer/objective/evaluate.hpp>

#include "support/archetypes.hpp"
#include "support/near.hpp"

namespace {

using namespace prefer;
using Catch::Contains;
using test::near;

/// Numbers for n pairs, from a formula that the tests can repeat. Multiples of 1/16: exact in float, too.
double number(std::size_t i, int salt) {
  return -1.0 -
         static_cast<double>((i * 37 + static_cast<std::size_t>(salt) * 101 + (i * i) % 53) % 800) /
             16.0;
}
template <class T>
std::vector<T> numbers(std::size_t n, int salt) {
  std::vector<T> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<T>(number(i, salt));
  return out;
}

struct expectation {
  double value, chosen, rejected;
};
/// dpo as in its paper, with libm: -log sigmoid(z), d/dz = -sigmoid(-z).
expectation dpo_by_hand(double beta, double pc, double pr, double rc, double rr) {
  double const z = beta * ((pc - rc) - (pr - rr));
  double const slope = -beta / (1.0 + std::exp(z));
  return {std::log1p(std::exp(-z)), slope, -slope};
}

TEST_CASE("evaluate: every size gives what a plain loop gives", "[objective][evaluate]") {
  static constexpr std::size_t w = lane<float>::width;
  auto const n = GENERATE(as<std::size_t>(), 1, w - 1, w, w + 1, 2 * w + 1, 255, 256, 257, 1023,
                          1024, 1025, 2049, 511, 4095, 4096, 4097, 20000);
  CAPTURE(n);
  auto const pc = numbers<double>(n, 1), pr = numbers<double>(n, 2);
  auto const rc = numbers<double>(n, 3), rr = numbers<double>(n, 4);
  auto const result =
      evaluate(dpo{.beta = 0.1}, pair_columns{.policy = {pc, pr}, .reference = {rc, rr}});
  REQUIRE(result.value.size() == n);
  long double sum = 0.0;
  bool all = true;
  for (std::size_t i = 0; i < n; ++i) {
    auto const e = dpo_by_hand(0.1, pc[i], pr[i], rc[i], rr[i]);
    double const b = static_cast<double>(n);
    all = all && near(result.value[i], e.value, 1e-14) &&
          near(result.coefficient.chosen[i], e.chosen / b, 1e-14) &&
          near(result.coefficient.rejected[i], e.rejected / b, 1e-14);
    sum += e.value;
  }
  CHECK(all);
  CHECK(near(result.loss, static_cast<double>(sum / static_cast<long double>(n)), 1e-14));
}

TEST_CASE("evaluate_into: float and double columns and results mix freely",
          "[objective][evaluate]") {
  std::size_t const n = 261;
  auto const pc = numbers<float>(n, 1);
  auto const pr = numbers<double>(n, 2);
  auto const rc = numbers<double>(n, 3);
  auto const rr = numbers<float>(n, 4);
  std::vector<float> value(n), rejected(n);
  std::vector<double> chosen(n);
  double const loss =
      evaluate_into(dpo{.beta = 0.1}, pair_columns{.policy = {pc, pr}, .reference = {rc, rr}},
                    pair_results{.value = value, .chosen = chosen, .rejected = rejected},
                    {.reduce = reduction::none});
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    CAPTURE(i);
    auto const e =
        dpo_by_hand(0.1, static_cast<double>(pc[i]), pr[i], rc[i], static_cast<double>(rr[i]));
    CHECK(near(chosen[i], e.chosen, 1e-14));  // one double column: computed in double
    CHECK(near(static_cast<double>(value[i]), e.value, 0x1p-23));
    CHECK(near(static_cast<double>(rejected[i]), e.rejected, 0x1p-23));
    sum += e.value;
  }
  CHECK(near(loss, sum / static_cast<double>(n), 1e-13));
}

TEST_CASE("evaluate_into: float columns are computed in float and summed across blocks in double",
          "[objective][evaluate]") {
  // 100000 equal losses. One float accumulator would stall about 1e-3 off; a block's 256 values on four
  // lanes are at most 64 additions of half a unit each, of sums that grow: 2e-6.
  std::size_t const n = 100000;
  std::vector<float> const pc(n, -3.0f), pr(n, -5.0f), rc(n, -4.0f), rr(n, -4.5f);
  std::vector<float> value(n);
  double const loss =
      evaluate_into(dpo{.beta = 0.1}, pair_columns{.policy = {pc, pr}, .reference = {rc, rr}},
                    pair_results{.value = value});
  CHECK(near(loss, std::log1p(std::exp(-0.15)), 2e-6));
  CHECK(near(static_cast<double>(value[0]), std::log1p(std::exp(-0.15)), 3e-7));
}

TEST_CASE("evaluate_into: nothing is written where nothing is asked for", "[objective][evaluate]") {
  auto const pc = numbers<double>(7, 1), pr = numbers<double>(7, 2);
  auto const columns = pair_columns{.policy = {pc, pr}, .reference = {pr, pc}};
  auto const full = evaluate(dpo{}, columns);
  CHECK(evaluate_into(dpo{}, columns, pair_results{}) == full.loss);
  std::vector<double> room(9, 42.0);  // one more on each side than the results need
  evaluate_into(dpo{}, columns, pair_results{.chosen = std::span(room).subspan(1, 7)});
  CHECK(room.front() == 42.0);
  CHECK(room.back() == 42.0);
  CHECK(std::vector<double>(room.begin() + 1, room.end() - 1) == full.coefficient.chosen);
}

TEST_CASE("evaluate: beta and target margin per pair replace the loss's", "[objective][evaluate]") {
  std::vector<double> const pc = {-4.0, -9.0, -2.0}, pr = {-6.0, -3.0, -2.5};
  std::vector<std::int32_t> const length_chosen = {2, 3, 4}, length_rejected = {1, 3, 5};
  std::vector<double> const beta = {0.5, 1.0, 2.0}, target = {0.0, 1.0, -0.5};
  auto const result = evaluate(simpo{.beta = 99.0, .gamma = 99.0},
                               pair_columns{.policy = {pc, pr},
                                            .length = {length_chosen, length_rejected},
                                            .beta = beta,
                                            .target_margin = target});
  for (std::size_t i = 0; i < 3; ++i) {
    double const z = beta[i] * (pc[i] / length_chosen[i] - pr[i] / length_rejected[i]) - target[i];
    double const slope = -beta[i] / (1.0 + std::exp(z)) / 3.0;  // mean over three pairs
    CHECK(near(result.value[i], std::log1p(std::exp(-z)), 1e-14));
    CHECK(near(result.coefficient.chosen[i], slope / length_chosen[i], 1e-14));
    CHECK(near(result.coefficient.rejected[i], -slope / length_rejected[i], 1e-14));
  }
}

TEST_CASE("evaluate: a column that the loss would ignore is refused by name",
          "[objective][evaluate]") {
  std::vector<double> const v = {-1.0, -2.0};
  CHECK_THROWS_WITH(evaluate(nll{}, pair_columns{.policy = {v, v}, .beta = v}),
                    "evaluate: the batch has a column that this loss would ignore: beta");
  CHECK_THROWS_WITH(
      evaluate(dpo{}, pair_columns{.policy = {v, v}, .reference = {v, v}, .target_margin = v}),
      "evaluate: the batch has a column that this loss would ignore: target_margin");
}

TEST_CASE("evaluate: a column given for one side of the pairs only is a slip, and named",
          "[objective][evaluate]") {
  std::vector<double> const v = {-1.0, -2.0};
  CHECK_THROWS_WITH(
      evaluate(dpo{}, pair_columns{.policy = {v, v}, .reference = {.chosen = v, .rejected = {}}}),
      "evaluate: reference is given for chosen completions only; expected both or neither");
  CHECK_THROWS_WITH(
      evaluate(nll{}, pair_columns{.policy = {v, v}, .length = {.chosen = {}, .rejected = v}}),
      "evaluate: length is given for rejected completions only; expected both or neither");
}

TEST_CASE("evaluate: a column that the loss reads and the batch lacks is named",
          "[objective][evaluate]") {
  std::vector<double> const v = {-1.0, -2.0};
  CHECK_THROWS_WITH(evaluate(dpo{}, pair_columns{.policy = {v, v}}),
                    "evaluate: this loss reads policy, reference; the batch lacks reference");
  CHECK_THROWS_WITH(evaluate(simpo{}, pair_columns{.policy = {v, v}, .reference = {v, v}}),
                    "evaluate: this loss reads policy, length; the batch lacks length");
  CHECK_THROWS_WITH(
      evaluate(kto{}, unpaired_columns{.policy = v, .reference = v, .kl_examples = {v, v}}),
      "evaluate: this loss reads policy, reference, label; the batch lacks label");
  CHECK_THROWS_AS(evaluate(kto{}, unpaired_columns{.policy = v, .reference = v, .label = v}),
                  precondition_error);
}

TEST_CASE("evaluate: sizes that disagree are told with both numbers", "[objective][evaluate]") {
  std::vector<double> const two = {-1.0, -2.0}, three = {-1.0, -2.0, -3.0};
  CHECK_THROWS_WITH(evaluate(nll{}, pair_columns{.policy = {two, three}}),
                    "evaluate: policy.rejected has 3 elements, expected 2");
  CHECK_THROWS_WITH(evaluate(dpo{}, pair_columns{.policy = {two, two}, .reference = {two, three}}),
                    "evaluate: reference.rejected has 3 elements, expected 2");
  CHECK_THROWS_WITH(evaluate(nll{}, pair_columns{.policy = {two, two}, .weight = three}),
                    "evaluate: weight has 3 elements, expected 2");
  std::vector<double> out(3);
  CHECK_THROWS_WITH(
      evaluate_into(nll{}, pair_columns{.policy = {two, two}}, pair_results{.value = out}),
      "evaluate: results.value has 3 elements, expected 2");
  std::vector<double> forgotten;  // never resized: it must not pass for "not wanted"
  CHECK_THROWS_WITH(
      evaluate_into(nll{}, pair_columns{.policy = {two, two}}, pair_results{.value = forgotten}),
      "evaluate: results.value has 0 elements, expected 2");
}

TEST_CASE(
    "evaluate: scores and a policy's other columns are needed, named and sized like any column",
    "[objective][evaluate]") {
  std::vector<double> const v = {-1.0, -2.0}, three = {-1.0, -2.0, -3.0};
  pair_columns const plain{.policy = {v, v}, .reference = {v, v}};
  CHECK_THROWS_WITH(evaluate(odpo{}, plain),
                    "evaluate: this loss reads policy, reference, score; the batch lacks score");
  CHECK_THROWS_WITH(
      evaluate(xpo{}, plain),
      "evaluate: this loss reads policy, reference, chosen_from_reference; the batch lacks "
      "chosen_from_reference");
  CHECK_THROWS_WITH(
      evaluate(tdpo1{}, plain),
      "evaluate: this loss reads policy, reference, divergence; the batch lacks divergence");
  auto const one_sided = [&](auto member) {
    auto batch = plain;
    (batch.*member).rejected = v;
    return batch;
  };
  std::string const only = " is given for rejected completions only; expected both or neither";
  CHECK_THROWS_WITH(evaluate(dpo{}, one_sided(&pair_columns::score)), "evaluate: score" + only);
  CHECK_THROWS_WITH(evaluate(dpo{}, one_sided(&pair_columns::divergence)),
                    "evaluate: divergence" + only);
  CHECK_THROWS_WITH(evaluate(dpo{}, one_sided(&pair_columns::alignment)),
                    "evaluate: alignment" + only);
  CHECK_THROWS_WITH(evaluate(dpo{}, one_sided(&pair_columns::perturbed_toward)),
                    "evaluate: perturbed_toward" + only);
  CHECK_THROWS_WITH(evaluate(dpo{}, one_sided(&pair_columns::perturbed_away)),
                    "evaluate: perturbed_away" + only);
  auto sized = plain;
  sized.score = {v, three};
  CHECK_THROWS_WITH(evaluate(odpo{}, sized), "evaluate: score.rejected has 3 elements, expected 2");
  sized = plain;
  sized.perturbed_away = {three, v};
  CHECK_THROWS_WITH(evaluate(dpo{}, sized),
                    "evaluate: perturbed_away.chosen has 3 elements, expected 2");
  sized = plain;
  sized.chosen_from_reference = three;
  CHECK_THROWS_WITH(evaluate(xpo{}, sized),
                    "evaluate: chosen_from_reference has 3 elements, expected 2");
  sized = plain;
  sized.uniform = three;
  CHECK_THROWS_WITH(evaluate(dpo{}, sized), "evaluate: uniform has 3 elements, expected 2");
}

TEST_CASE("evaluate: derivatives by the divergence are of the mean, weighted like the loss",
          "[objective][evaluate]") {
  // tdpo1: sp(-beta (m - (d_l - d_w))).
  std::vector<double> const pc = {-1.0, -4.0}, pr = {-3.0, -2.0}, zero = {0.0, 0.0};
  std::vector<double> const dc = {0.5, 0.25}, dr = {1.0, 2.0}, weight = {1.0, 3.0};
  pair_columns const batch{
      .policy = {pc, pr}, .reference = {zero, zero}, .divergence = {dc, dr}, .weight = weight};
  auto const y = evaluate(tdpo1{.beta = 0.5}, batch);
  for (std::size_t i = 0; i < 2; ++i) {
    double const z = 0.5 * (pc[i] - pr[i] - dr[i] + dc[i]);
    double const slope = -0.5 / (1.0 + std::exp(z)) * weight[i] / 2.0;
    CHECK(near(y.value[i], weight[i] * std::log1p(std::exp(-z)), 1e-14));
    CHECK(near(y.coefficient.chosen[i], slope, 1e-14));
    CHECK(near(y.divergence_coefficient.chosen[i], slope, 1e-14));
    CHECK(near(y.divergence_coefficient.rejected[i], -slope, 1e-14));
  }
  CHECK(evaluate(dpo{}, batch).divergence_coefficient.chosen.empty());
  std::vector<double> out(2), three(3);
  CHECK_THROWS_WITH(
      evaluate_into(dpo{}, batch, pair_results{.chosen_divergence = out}),
      "evaluate: results.divergence is asked for, and this loss does not read divergence");
  CHECK_THROWS_WITH(evaluate_into(tdpo1{}, batch, pair_results{.rejected_divergence = three}),
                    "evaluate: results.rejected_divergence has 3 elements, expected 2");
}

TEST_CASE("evaluate: a formula that reads divergence and captures numbers is refused",
          "[objective][evaluate]") {
  std::vector<double> const v = {-1.0, -2.0};
  double const beta = 0.5;
  auto const loss = pair_loss([beta](auto const& p) { return beta * p.chosen.divergence; });
  CHECK_THROWS_WITH(evaluate(loss, pair_columns{.policy = {v, v}, .divergence = {v, v}}),
                    Contains("must be default-constructible"));
}

TEST_CASE("evaluate: chosen_from_reference comes as bool, int or float", "[objective][evaluate]") {
  std::vector<double> const c = {-1.0, -2.0, -4.0}, r = {-5.0, -6.0, -7.0};
  std::array<bool, 3> const as_bool = {true, false, true};
  std::vector<std::int32_t> const as_int = {1, 0, 1};
  std::vector<float> const as_float = {1.0f, 0.0f, 1.0f};
  for (column const from : {column(as_bool), column(as_int), column(as_float)}) {
    auto const y =
        evaluate(optimism{}, pair_columns{.policy = {c, r}, .chosen_from_reference = from});
    CHECK(y.value == std::vector<double>{-1.0, -6.0, -4.0});
  }
}

TEST_CASE("evaluate: an empty batch is refused", "[objective][evaluate]") {
  std::vector<double> const none;
  std::vector<std::size_t> const no_lists = {0};
  CHECK_THROWS_WITH(
      evaluate(dpo{}, pair_columns{.policy = {none, none}, .reference = {none, none}}),
      "evaluate: the batch is empty");
  CHECK_THROWS_WITH(
      evaluate(softmax_dpo{}, list_columns{.policy = none, .reference = none, .offset = no_lists}),
      "evaluate: the batch is empty");
}

TEST_CASE("evaluate: offsets must cover every completion once", "[objective][evaluate]") {
  std::vector<double> const v = {-1.0, -2.0, -3.0};
  auto const with = [&](std::vector<std::size_t> const& offset) {
    return evaluate(softmax_dpo{}, list_columns{.policy = v, .reference = v, .offset = offset});
  };
  CHECK_THROWS_WITH(with({0, 2}),
                    "evaluate: offset must run from 0 to the number of completions, 3");
  CHECK_THROWS_WITH(with({1, 3}),
                    "evaluate: offset must run from 0 to the number of completions, 3");
  CHECK_THROWS_WITH(with({0, 2, 2, 3}), "evaluate: list 1 is empty or its offset descends");
  CHECK_THROWS_WITH(with({0, 2, 1, 3}), "evaluate: list 1 is empty or its offset descends");
  CHECK(with({0, 1, 3}).value.size() == 2);
}

TEST_CASE("evaluate: lists longer than the stack's room give the same as a loop",
          "[objective][evaluate]") {
  // softmax over s_i = beta * log_ratio_i, all in double by hand.
  std::size_t const k = 150;
  auto const policy = numbers<double>(k + 1, 5), reference = numbers<double>(k + 1, 6);
  std::vector<std::size_t> const offset = {0, 1, k + 1};
  auto const result =
      evaluate(softmax_dpo{.beta = 0.5},
               list_columns{.policy = policy, .reference = reference, .offset = offset});
  CHECK(result.value[0] == 0.0);  // a list of one
  CHECK(result.coefficient[0] == 0.0);
  double total = 0.0;
  for (std::size_t i = 1; i <= k; ++i) total += std::exp(0.5 * (policy[i] - reference[i]));
  for (std::size_t i = 1; i <= k; ++i) {
    CAPTURE(i);
    double const share = std::exp(0.5 * (policy[i] - reference[i])) / total;
    CHECK(near(result.coefficient[i], 0.5 * (share - (i == 1 ? 1.0 : 0.0)) / 2.0, 1e-12, 1e-12));
  }
  CHECK(near(result.value[1], std::log(total) - 0.5 * (policy[1] - reference[1]), 1e-13));
  CHECK(near(result.loss, result.value[1] / 2.0, 1e-15));
}

TEST_CASE("evaluate: weights and beta of lists are per list", "[objective][evaluate]") {
  std::vector<double> const policy = {-1.0, -2.0, -4.0, -3.0}, reference = {0.0, 0.0, 0.0, 0.0};
  std::vector<std::size_t> const offset = {0, 2, 4};
  std::vector<double> const beta = {1.0, 2.0}, weight = {1.0, 3.0};
  auto const result = evaluate(softmax_dpo{.beta = 9.0}, list_columns{.policy = policy,
                                                                      .reference = reference,
                                                                      .offset = offset,
                                                                      .weight = weight,
                                                                      .beta = beta});
  // Two completions: softplus(-beta * margin), with margins 1 and -1.
  CHECK(near(result.value[0], std::log1p(std::exp(-1.0)), 1e-14));
  CHECK(near(result.value[1], 3.0 * std::log1p(std::exp(2.0)), 1e-14));
  CHECK(near(result.coefficient[2], -3.0 * 2.0 / (1.0 + std::exp(-2.0)) / 2.0, 1e-14));
  CHECK(near(result.coefficient[3], 3.0 * 2.0 / (1.0 + std::exp(-2.0)) / 2.0, 1e-14));
}

TEST_CASE("evaluate: labels come as bool, int or float", "[objective][evaluate]") {
  std::vector<double> const policy = {-1.0, -2.0, -4.0}, reference = {-1.5, -1.0, -4.0};
  std::array<bool, 3> const as_bool = {true, false, true};
  std::vector<std::int32_t> const as_int = {1, 0, 1};
  std::vector<float> const as_float = {1.0f, 0.0f, 1.0f};
  auto const with = [&](column label) {
    return evaluate(kto{}, unpaired_columns{.policy = policy,
                                            .reference = reference,
                                            .label = label,
                                            .kl_examples = {policy, reference}})
        .value;
  };
  CHECK(with(as_bool) == with(as_int));
  CHECK(with(as_bool) == with(as_float));
}

TEST_CASE("evaluate: a batch that promises its columns is evaluated as it is",
          "[objective][evaluate]") {
  std::vector<double> const c = {-1.0, -2.0}, r = {-3.0, -1.0};
  auto const columns = pair_columns{.policy = {c, r}, .reference = {r, c}};
  with_columns<column_name::policy | column_name::reference, pair_columns> const promised(columns);
  CHECK(evaluate(dpo{}, promised).value == evaluate(dpo{}, columns).value);
  std::vector<double> value(2);
  evaluate_into(dpo{}, promised, pair_results{.value = value});
  CHECK(value == evaluate(dpo{}, columns).value);
}

TEST_CASE("evaluate: a loss that remembers is given its memory from batch to batch",
          "[objective][evaluate]") {
  std::vector<double> const c = {-1.0}, r = {-3.0};
  auto const columns = pair_columns{.policy = {c, r}};
  test::remembering_archetype const loss(0);
  test::remembering_archetype::memory memory;
  CHECK(evaluate(loss, columns, memory).loss == -2.0);  // batch 1: 1 * (-3 + 1)
  CHECK(evaluate(loss, columns, memory).loss == -4.0);
  CHECK(memory.batches == 2.0);
}

TEST_CASE("evaluate: losses with nothing but what Loss asks for are evaluated",
          "[objective][evaluate]") {
  std::vector<double> const c = {-1.0, -5.0}, r = {-3.0, -4.0};
  std::vector<std::size_t> const offset = {0, 1, 2};
  auto const pair = evaluate(test::loss_archetype<2>(0), pair_columns{.policy = {c, r}});
  CHECK(pair.value == std::vector<double>{-2.0, 1.0});
  CHECK(pair.coefficient.chosen == std::vector<double>{-0.5, -0.5});
  CHECK(pair.coefficient.rejected == std::vector<double>{0.5, 0.5});
  auto const unpaired = evaluate(test::loss_archetype<1>(0), unpaired_columns{.policy = c});
  CHECK(unpaired.value == std::vector<double>{1.0, 5.0});
  auto const list =
      evaluate(test::loss_archetype<dynamic_arity>(0), list_columns{.policy = c, .offset = offset});
  CHECK(list.coefficient == std::vector<double>{-0.5, -0.5});
}

TEST_CASE("evaluate_into: results may overwrite the columns that they came from",
          "[objective][evaluate]") {
  std::size_t const n = 2 * prefer::detail::block_size + 89;  // three blocks, the last one padded
  auto pc = numbers<double>(n, 1), pr = numbers<double>(n, 2);
  auto const rc = numbers<double>(n, 3), rr = numbers<double>(n, 4);
  auto const columns = pair_columns{.policy = {pc, pr}, .reference = {rc, rr}};
  auto const apart = evaluate(dpo{}, columns);
  evaluate_into(dpo{}, columns, pair_results{.chosen = pc, .rejected = pr});
  CHECK(pc == apart.coefficient.chosen);
  CHECK(pr == apart.coefficient.rejected);
}

}  // namespace
