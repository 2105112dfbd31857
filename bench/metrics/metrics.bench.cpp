// SPDX-License-Identifier: MIT

// Every metric of a batch, and the batch statistic of every loss that takes one, over float columns on one thread, beside
// the loss pass of dpo on the same pairs: nanoseconds per pair (or example).

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include <benchmark/benchmark.h>

#include <prefer/loss/catalogue.hpp>
#include <prefer/metrics/calibration.hpp>
#include <prefer/metrics/displacement.hpp>
#include <prefer/metrics/effective_sample.hpp>
#include <prefer/metrics/kl_estimates.hpp>
#include <prefer/metrics/length_bias.hpp>
#include <prefer/metrics/likelihood.hpp>
#include <prefer/metrics/reference_compatibility.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/metrics/tokens.hpp>
#include <prefer/objective/evaluate.hpp>

namespace {

/// Every column of a kind, the same numbers in every run.
template <class Columns>
struct filled {
  std::vector<std::vector<float>> kept;
  Columns batch{};

  explicit filled(std::size_t n) {
    kept.reserve(32);
    std::uint64_t state = 88172645463325252u;
    prefer::detail::for_each_column(
        batch, [&](auto is, prefer::per, prefer::column_side, prefer::column& to) {
          bool const optional =
              is.name == prefer::column_name::weight || prefer::optional_columns.contains(is.name);
          if (optional) return;
          double low = 0.0, width = 1.0;
          if (is.rule == prefer::column_rule::log_prob) low = -60.0, width = 30.0;
          if (is.rule == prefer::column_rule::tokens) low = 10.0, width = 20.0;
          if (is.rule == prefer::column_rule::truth) low = -1.0, width = 2.0;
          auto& own = kept.emplace_back(n);
          for (float& x : own) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            x = static_cast<float>(low + width * static_cast<double>(state >> 40) * 0x1p-24);
          }
          to = own;
        });
  }
};

template <class Columns>
Columns const& batch_of(std::size_t n) {
  static filled<Columns> const small(10'000), large(1'000'000);
  return n == 10'000 ? small.batch : large.batch;
}

template <class Columns, class Measure>
void add(std::string const& name, Measure const& measure) {
  benchmark::RegisterBenchmark(
      name.c_str(),
      [measure](benchmark::State& state) {
        auto const n = static_cast<std::size_t>(state.range(0));
        auto const& batch = batch_of<Columns>(n);
        for (auto _ : state) {
          benchmark::DoNotOptimize(measure(batch));
          benchmark::ClobberMemory();
        }
        state.counters["ns_per_example"] = benchmark::Counter(
            static_cast<double>(n) * 1e-9,
            benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
      })
      ->ArgName("examples")
      ->Arg(10'000)
      ->Arg(1'000'000)
      ->Unit(benchmark::kMicrosecond);
}

template <class Measure>
void add_pairs(std::string const& name, Measure const& measure) {
  add<prefer::pair_columns>(name, measure);
}

bool const registered = [] {
  prefer::reward_rule const rule{.beta = 0.1};
  add_pairs("loss_pass/dpo", [](auto const& batch) {
    static std::vector<float> chosen(1'000'000), rejected(1'000'000);
    std::size_t const n = batch.size();
    return evaluate_into(prefer::dpo{}, batch,
                         prefer::pair_results{.chosen = std::span(chosen).first(n),
                                              .rejected = std::span(rejected).first(n)});
  });
  add_pairs("metrics/pairs", [=](auto const& batch) { return metrics(batch, rule); });
  add<prefer::unpaired_columns>("metrics/labels",
                                [=](auto const& batch) { return metrics(batch, rule); });
  add_pairs("active_share", [=](auto const& batch) { return active_share(batch, rule); });
  add_pairs("calibration", [=](auto const& batch) { return calibration_of(batch, rule); });
  add_pairs("displacement", [](auto const& batch) { return displacement_of(batch); });
  add_pairs("length_bias", [=](auto const& batch) { return length_bias_of(batch, rule); });
  add_pairs("likelihood", [](auto const& batch) { return likelihood(batch); });
  add_pairs("reference_compatibility",
            [=](auto const& batch) { return compatibility_of(batch, rule); });
  add_pairs("effective_sample",
            [](auto const& batch) { return prefer::effective_sample_of(batch.policy.chosen); });
  add_pairs("kl_estimates", [](auto const& batch) {
    return prefer::estimate_kl(batch.policy.chosen, batch.reference.chosen);
  });
  add_pairs("tokens", [](auto const& batch) {
    prefer::token_columns const side{.length = batch.length.chosen,
                                     .entropy = batch.divergence.chosen,
                                     .logit = batch.policy.chosen,
                                     .correct = batch.length.chosen};
    return metrics(side, side);
  });
  prefer::for_each_loss([&]<prefer::Loss L>(L const& loss, auto const&) {
    if constexpr (!std::is_same_v<prefer::loss_state<L>, prefer::nothing>) {
      using columns =
          std::conditional_t<L::arity == 2, prefer::pair_columns, prefer::unpaired_columns>;
      add<columns>(std::string("prepare/") + L::name, [loss](columns const& batch) {
        prefer::loss_memory<L> memory{};
        return prepare(loss, batch, memory);
      });
    }
  });
  return true;
}();

}  // namespace
