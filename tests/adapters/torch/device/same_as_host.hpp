// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/adapters/torch.hpp>
#include <prefer/adapters/torch/metrics.hpp>
#include <prefer/objective/evaluate.hpp>

#include "adapters/torch/device/losses.hpp"
#include "adapters/torch/tensors.hpp"
#include "laws/problem.hpp"

// What tensors on a device owe, emulated or real: the numbers of the host, for value, gradient and metrics.

namespace prefer::test {

/// A tensor's numbers as double, in memory.
[[nodiscard]] inline std::vector<double> host_numbers(at::Tensor const& of) {
  at::Tensor const same = of.detach().to(at::kDouble).cpu().contiguous();
  return {same.data_ptr<double>(), same.data_ptr<double>() + same.numel()};
}
/// The columns of tensors as columns of doubles, which live as long as this.
class host_copies {
 public:
  template <template <class> class Kind>
  [[nodiscard]] Kind<column> operator()(Kind<torch::column> const& batch) {
    return detail::converted_columns<column>(
        batch, [&](auto, per, detail::torch_place, torch::column const& one) -> column {
          kept_.push_back(host_numbers(one.tensor()));
          return kept_.back();
        });
  }

 private:
  std::vector<std::vector<double>> kept_;
};

/// The largest of some numbers, and at least `least`.
[[nodiscard]] inline double largest(std::vector<double> const& of, double least = 0.0) {
  for (double const x : of) least = std::fmax(least, std::fabs(x));
  return least;
}

struct precision {
  at::ScalarType type;
  double of_pass;      // what a loss over pairs is computed in
  double of_gradient;  // what its result is rounded to
};
inline constexpr double eps_float = std::numeric_limits<float>::epsilon();
inline constexpr double eps_double = std::numeric_limits<double>::epsilon();
inline precision const in_double{at::kDouble, eps_double, eps_double};
inline precision const in_float{at::kFloat, eps_float, eps_float};
inline precision const in_half{at::kHalf, eps_float, 0x1p-11};
inline precision const in_bfloat16{at::kBFloat16, eps_float, 0x1p-8};

inline void check_gradient(std::vector<double> const& expected, torch::column const& column,
                           precision const& of) {
  if (expected.empty()) return;
  auto const got = host_numbers(column.tensor().grad());
  REQUIRE(got.size() == expected.size());
  CHECK(column.tensor().grad().scalar_type() == of.type);
  // Some thirty operations on numbers of up to 61 nats, each rounded; then the result is, half's at least to 2^-25.
  double const allowed = 61 * 30 * of.of_pass * largest(expected);
  for (std::size_t i = 0; i != got.size(); ++i) {
    CAPTURE(i, expected[i], got[i]);
    CHECK(std::fabs(got[i] - expected[i]) <= allowed + of.of_gradient * std::fabs(expected[i]) +
                                                 (of.type == at::kHalf ? 0x1p-25 : 0.0));
  }
}

/// `loss_of(formula, batch, memory)` gives the loss of tensors on a device, `metrics_of(batch, rule)` their metrics, `place(tensor)`
/// takes a tensor there; `n` examples.
template <Loss L>
void same_as_host(L const& formula, precision const& of, std::size_t n, auto const& place,
                  auto const& loss_of, auto const& metrics_of) {
  char const* name = "a sum of losses";
  if constexpr (requires { L::name; }) name = L::name;
  INFO("loss " << name << ", " << c10::toString(of.type) << ", " << n);
  problem<double> p({.arity = L::arity,
                     .list_size = list_size_of<L>(),
                     .divergence = L::arity == 2 && needs<L>.contains(column_name::divergence)},
                    n);
  for (std::size_t i = 0; i != n; ++i) p.weight.push_back(0.25 * static_cast<double>(i % 5));
  auto numbers = p.template columns<L::arity>();
  if constexpr (detail::differentiates_value<L>) numbers.value_estimate = p.side[0].score;
  auto const batch = detail::converted_columns<torch::column>(
      tensors_of<double>(numbers),
      [&](auto is, per, detail::torch_place, torch::column const& one) {
        at::Tensor const& from = one.tensor();
        // Labels are told from numbers by their type.
        auto const type = is.rule == column_rule::truth ? at::kBool : of.type;
        return torch::column(place(from.detach().to(type)).requires_grad_(from.requires_grad()));
      });
  host_copies copies;
  auto const here = copies(batch);  // what the type of the tensors has left of the numbers
  loss_memory<L> memory{}, memory_here{};
  auto const expected = evaluate(formula, here, memory_here);

  torch::loss_value const got = loss_of(formula, batch, memory);
  double const value = 61 * 30 * of.of_pass * (1 + std::fabs(expected.loss));
  CHECK(std::fabs(got.read() - expected.loss) <= value);
  CHECK(std::fabs(host_numbers(got.value())[0] - expected.loss) <= value + eps_float * value);
  got.backward();
  if constexpr (L::arity == 2) {
    check_gradient(expected.coefficient.chosen, batch.policy.chosen, of);
    check_gradient(expected.coefficient.rejected, batch.policy.rejected, of);
    check_gradient(expected.divergence_coefficient.chosen, batch.divergence.chosen, of);
    check_gradient(expected.divergence_coefficient.rejected, batch.divergence.rejected, of);
  } else {
    check_gradient(expected.coefficient, batch.policy, of);
    if constexpr (L::arity == 1)
      check_gradient(expected.value_coefficient, batch.value_estimate, of);
  }
  reward_rule const rule = reward_rule_of(formula);
  std::vector<double> said, said_here;
  for_each_metric(metrics_of(batch, rule), [&](char const*, double x) { said.push_back(x); });
  for_each_metric(metrics(here, rule), [&](char const*, double x) { said_here.push_back(x); });
  REQUIRE(said.size() == said_here.size());
  for (std::size_t m = 0; m != said.size(); ++m) {
    CAPTURE(m);
    CHECK(std::fabs(said[m] - said_here[m]) <=
          61 * 30 * eps_double * (1 + std::fabs(said_here[m])));
  }
}

/// Losses of every kind in every type: one that is computed in float and in double, and the rest once each.
void every_kind_is_the_same(auto const& place, auto const& loss_of, auto const& metrics_of) {
  auto const same = [&](auto const& formula, precision const& of, std::size_t n) {
    same_as_host(formula, of, n, place, loss_of, metrics_of);
  };
  for (precision const* of : {&in_double, &in_float, &in_half, &in_bfloat16}) {
    same(dpo{}, *of, 1);
    same(dpo{}, *of, 300);
    same(lipo{}, *of, 37);
    same(kto{}, *of, 37);
  }
  for (precision const* of : {&in_double, &in_float}) {
    same(dpo_and_nll{dpo{} + 0.2 * nll{}}, *of, 37);
    same(orpo{}, *of, 37);
    same(tdpo2{}, *of, 37);
    same(kto_pair{}, *of, 37);
    same(beta_dpo<>{}, *of, 37);
    same(aot_unpaired{}, *of, 37);
    same(bco{}, *of, 37);
    same(squared_value_error{}, *of, 37);
    same(plackett_luce{}, *of, 37);
  }
}

}  // namespace prefer::test
