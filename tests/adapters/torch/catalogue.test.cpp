// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/adapters/torch.hpp>
#include <prefer/adapters/torch/scalar.hpp>
#include <prefer/loss/catalogue.hpp>

#include "adapters/torch/tensors.hpp"
#include "laws/law_loss.hpp"

// Every loss on tensors: as a node, which is this library's evaluate to the bit, and by torch's autograd through its formula.

namespace {

using namespace prefer;

template <Loss L>
test::problem<double> problem_for() {
  auto shape = test::shape_of<L>();
  if (shape.arity == dynamic_arity && shape.list_size == 0) shape.list_size = 4;
  test::problem<double> out(shape, 23);
  for (std::size_t i = 0; i != out.size(); ++i)
    out.weight.push_back(0.25 * static_cast<double>(i % 5));
  return out;
}

template <class Columns>
void check_gradient(std::vector<double> const& expected, Columns const& column, double tolerance) {
  auto got = test::gradient_of(column);
  if (got.empty())
    got.resize(expected.size());  // autograd leaves none where the formula does not read the column
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i != got.size(); ++i) {
    CAPTURE(i, expected[i], got[i]);
    CHECK(std::fabs(got[i] - expected[i]) <= tolerance);
  }
}

/// All gradients of a batch against the coefficients that evaluate gives; tolerances relative to the largest.
template <Loss L, class Expected, class Batch>
void check_gradients(Expected const& expected, Batch const& batch, double tolerance) {
  if constexpr (L::arity == 2) {
    check_gradient(expected.coefficient.chosen, batch.policy.chosen, tolerance);
    check_gradient(expected.coefficient.rejected, batch.policy.rejected, tolerance);
    check_gradient(expected.divergence_coefficient.chosen, batch.divergence.chosen, tolerance);
    check_gradient(expected.divergence_coefficient.rejected, batch.divergence.rejected, tolerance);
  } else {
    check_gradient(expected.coefficient, batch.policy, tolerance);
  }
}

template <Loss L>
double largest_coefficient(auto const& expected) {
  double out = 0;
  auto const grow = [&](std::vector<double> const& by) {
    for (double const c : by) out = std::fmax(out, std::fabs(c));
  };
  if constexpr (L::arity == 2) {
    grow(expected.coefficient.chosen);
    grow(expected.coefficient.rejected);
  } else {
    grow(expected.coefficient);
  }
  return out;
}

}  // namespace

TEST_CASE("torch: every loss, as a node and by autograd", "[torch]") {
  std::size_t by_autograd = 0;
  for_each_loss([&]<Loss L>(L, auto const&) {
    INFO("loss " << L::name);
    L const formula = test::law_loss<L>();
    auto const numbers = problem_for<L>();
    auto const batch = numbers.template columns<L::arity>();
    loss_memory<L> memory{};
    auto const expected = evaluate(formula, batch, memory);

    auto const of_node = test::tensors_of<double>(batch);
    loss_memory<L> memory_of_node{};
    auto const node = prefer::torch::loss(formula, of_node, memory_of_node).value();
    CHECK(node.dim() == 0);
    CHECK(node.template item<double>() == expected.loss);
    node.backward();
    check_gradients<L>(expected, of_node, 0.0);

    if constexpr (!detail::matches<L>) {
      ++by_autograd;
      auto const of_formula = test::tensors_of<double>(batch);
      loss_memory<L> memory_of_formula{};
      auto const mean = prefer::torch::loss_by_autograd(formula, of_formula, memory_of_formula);
      // Some thirty operations on numbers of up to 61 nats, each rounded.
      double const rounding = 61 * 30 * std::numeric_limits<double>::epsilon();
      CHECK(std::fabs(mean.template item<double>() - expected.loss) <=
            rounding * (1 + std::fabs(expected.loss)));
      mean.backward();
      check_gradients<L>(expected, of_formula, rounding * largest_coefficient<L>(expected));
    }
  });
  CHECK(by_autograd == 65);
}
