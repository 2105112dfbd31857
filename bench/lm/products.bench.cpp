// SPDX-License-Identifier: MIT
#include <benchmark/benchmark.h>

#include <cstddef>
#include <prefer/lm/arithmetic/weight_products.hpp>
#include <prefer/random/distributions.hpp>
#include <span>
#include <string>
#include <vector>

#include "measure.hpp"

// The products of SmolLM2-135M's layers and head on rows of activations, forward, backward and by the weights, by every
// library that is here, beside multiply-adds with nothing else to do. Libraries take turns within an iteration.
namespace {

namespace lm = prefer::lm;

struct matrix_of_weights {
  char const* name;
  std::size_t out, in;
};
constexpr matrix_of_weights matrices[] = {{"q_proj and o_proj", 576, 576},
                                          {"k_proj and v_proj", 192, 576},
                                          {"gate_proj and up_proj", 1536, 576},
                                          {"down_proj", 576, 1536},
                                          {"adapter of rank 16", 16, 576}};

void products(benchmark::State& state, matrix_of_weights const& of, bool rounded) {
  auto const rows = static_cast<std::size_t>(state.range(0));
  prefer::thread_pool pool(static_cast<unsigned>(state.range(1)));
  std::vector<float> x(rows * of.in), y(rows * of.out), w(of.out * of.in), dw(of.out * of.in);
  prefer::fill_normal(std::span(x), {.seed = 1}, 0, 1);
  prefer::fill_normal(std::span(w), {.seed = 2}, 0, 0.1);
  auto weights = lm::weights_at(of.out, of.in, w.data());
  if (rounded) {
    std::vector<std::byte> stored(w.size() * 2);
    lm::detail::round_to_bfloat16(w.data(), w.size(),
                                  reinterpret_cast<prefer::bfloat16*>(stored.data()));
    weights = {lm::tensor_type::bf16, of.out, of.in, std::move(stored)};
  }
  struct times {
    lm::arithmetic<float> how;
    std::vector<double> forward = {}, backward = {}, by_weights = {};
  };
  std::vector<times> of_libraries;
  for (auto const& by : measure::libraries()) {
    if (rounded && !by.has_bfloat16()) continue;
    of_libraries.push_back(
        {{by, pool.executor(), rounded ? lm::compute_type::bf16 : lm::compute_type::full}});
  }
  std::vector<double> peak;
  for (auto _ : state) {
    peak.push_back(measure::fma_peak(pool.executor()));
    for (times& each : of_libraries) {
      each.forward.push_back(measure::seconds(
          [&] { multiply_by_weights(each.how, rows, x.data(), weights, y.data(), false); }));
      each.backward.push_back(measure::seconds([&] {
        multiply_back_by_weights(each.how, rows, static_cast<float const*>(y.data()), weights,
                                 x.data(), false);
      }));
      if (rounded) continue;
      each.by_weights.push_back(measure::seconds([&] {
        add_weight_gradient(each.how, rows, static_cast<float const*>(y.data()),
                            static_cast<float const*>(x.data()), of.out, of.in, dw.data());
      }));
      for (float& number : x) number = 1.0f;  // backward wrote it: products of products grow
    }
  }
  double const operations = 2 * static_cast<double>(rows * of.out * of.in);
  for (times const& each : of_libraries) {
    std::string const name(each.how.by.name());
    auto const say = [&](char const* what, std::vector<double> const& seconds) {
      if (!seconds.empty()) {
        state.counters[name.substr(0, name.find(' ')) + "_" + what] =
            operations / measure::median(seconds) / 1e9;
      }
    };
    say("forward", each.forward);
    say("backward", each.backward);
    say("by_weights", each.by_weights);
  }
  state.counters["peak_GFLOPS"] = measure::median(peak) / 1e9;
  state.SetLabel(of.name);
}

[[maybe_unused]] int const all_products = [] {
  for (bool const rounded : {false, true}) {
    for (auto const& each : matrices) {
      benchmark::RegisterBenchmark(
          ((rounded ? "bfloat16/" : "float32/") + std::to_string(each.out) + "x" +
           std::to_string(each.in))
              .c_str(),
          [each, rounded](benchmark::State& state) { products(state, each, rounded); })
          ->Args({760, 2})
          ->ArgNames({"rows", "threads"})
          ->Iterations(15)
          ->Unit(benchmark::kMillisecond);
    }
  }
  return 0;
}();

}  // namespace
