// SPDX-License-Identifier: MIT
#pragma once

#include <catch2/catch.hpp>
#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

#include <prefer/adapters/cuda/sort.cuh>
#include <prefer/loss/catalogue.hpp>
#include <prefer/objective/evaluate.hpp>

#include "adapters/cuda/on_device.hpp"
#include "support/near.hpp"

// What the device owes: the numbers of the host, for a loss with its statistics, coefficients and metrics.

namespace prefer::test {

/// Both compute in double, the host with its own exponentials: they agree to rounding of terms of some hundred nats.
inline void check_all_near(std::vector<double> const& here, std::vector<double> const& there,
                           double floor) {
  REQUIRE(here.size() == there.size());
  for (std::size_t i = 0; i < here.size(); ++i) {
    if (near(here[i], there[i], 1e-11, floor)) continue;
    CAPTURE(i);
    CHECK(here[i] == there[i]);
  }
}

template <class Metrics, class Names>
void check_metrics(Metrics const& here, Metrics const& there, Names const& names) {
  for (auto const& each : names) {
    INFO(each.name);
    CHECK((here.*each.field).count == (there.*each.field).count);
    CHECK(near((here.*each.field).sum, (there.*each.field).sum, 1e-11, 1.0));
  }
}

/// A loss over `n` examples with every column that it may read.
template <Loss L>
void same_as_host(L const& loss, std::size_t n) {
  CAPTURE(n);
  problem<double> p({.arity = L::arity,
                     .list_size = list_size_of<L>(),
                     .divergence = L::arity == 2 && needs<L>.contains(column_name::divergence)},
                    n);
  auto batch = p.template columns<L::arity>();
  if constexpr (detail::differentiates_value<L>) batch.value_estimate = p.side[0].score;
  on_device device;
  auto const there = device(batch);
  loss_memory<L> memory_here{}, memory_there{};
  auto const ours = evaluate(loss, batch, memory_here);
  auto const theirs = cuda::evaluate<double>(loss, there, memory_there);
  CHECK(near(ours.loss, theirs.loss.read(), 1e-11, 1.0));
  check_all_near(ours.value, theirs.value.to_host(), 1.0);
  reward_rule const rule = reward_rule_of(loss);
  if constexpr (L::arity == 2) {
    check_all_near(ours.coefficient.chosen, theirs.coefficient.chosen.to_host(), 1e-2);
    check_all_near(ours.coefficient.rejected, theirs.coefficient.rejected.to_host(), 1e-2);
    if constexpr (detail::differentiates_divergence<L>) {
      check_all_near(ours.divergence_coefficient.chosen,
                     theirs.divergence_coefficient.chosen.to_host(), 1e-2);
      check_all_near(ours.divergence_coefficient.rejected,
                     theirs.divergence_coefficient.rejected.to_host(), 1e-2);
    }
  } else {
    check_all_near(ours.coefficient, theirs.coefficient.to_host(), 1e-2);
    if constexpr (detail::differentiates_value<L>) {
      check_all_near(ours.value_coefficient, theirs.value_coefficient.to_host(), 1e-2);
    }
  }
  if constexpr (L::arity == 1) {
    check_metrics(metrics(batch, rule), metrics(there, rule), unpaired_metric_names);
  } else {
    check_metrics(metrics(batch, rule), metrics(there, rule), pair_metric_names);
  }
}

/// What is done with each loss of one arity. A functor, because nvcc takes no lambda around what launches kernels.
template <std::size_t Arity>
struct compare_each_loss {
  std::size_t* losses;

  template <Loss L>
  void operator()(L loss, loss_info const&) const {
    if constexpr (L::arity == Arity) {
      INFO("loss " << L::name);
      ++*losses;
      // 5000 is for squared noise: margins of 100 nats leave nothing of the logistic function there.
      if constexpr (std::is_same_v<L, diffusion_dpo>) loss.beta = 0.1;
      same_as_host(loss, 1);
      same_as_host(loss, 37);
    }
  }
};

/// Every loss of the catalogue with this arity; at least `at_least` of them.
template <std::size_t Arity>
void every_loss_is_the_same(std::size_t at_least) {
  std::size_t losses = 0;
  for_each_loss(compare_each_loss<Arity>{&losses});
  CHECK(losses >= at_least);
}

}  // namespace prefer::test
