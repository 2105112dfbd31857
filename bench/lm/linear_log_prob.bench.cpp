// SPDX-License-Identifier: MIT
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <prefer/lm/arithmetic/linear_backward.hpp>
#include <prefer/lm/arithmetic/linear_log_prob.hpp>
#include <prefer/random/distributions.hpp>
#include <span>
#include <string>
#include <vector>

#include "measure.hpp"

// The output layer of SmolLM2-135M, 576 x 49,152, forward and backward, beside its bare products by the same library: three
// where the matrix is trained, two where it is frozen. Each iteration does both, so that ratios see the same weather.
namespace {

namespace lm = prefer::lm;

constexpr std::size_t width = 576;
constexpr std::size_t vocabulary = 49152;

enum class form { trained, frozen, frozen_bfloat16 };

struct head {
  std::size_t rows;
  std::vector<float> hidden, matrix, gradient_hidden, gradient_matrix, log_prob, coefficient;
  std::vector<std::uint32_t> target;
  lm::linear_pass<float> pass;

  head(std::size_t count, bool trained)
      : rows(count),
        hidden(count * width),
        matrix(vocabulary * width),
        gradient_hidden(count * width),
        gradient_matrix(trained ? vocabulary * width : 0),
        log_prob(count),
        coefficient(count, 0.01f),
        target(count) {
    prefer::fill_normal(std::span(hidden), {.seed = 1}, 0, 1);
    prefer::fill_normal(std::span(matrix), {.seed = 2}, 0, 0.1);
    for (std::size_t r = 0; r != rows; ++r) {
      target[r] = static_cast<std::uint32_t>(r * 7919 % vocabulary);
    }
  }
  bool trained() const { return !gradient_matrix.empty(); }

  void run(lm::arithmetic<float> const& how, lm::weight_matrix<float> const& weights) {
    lm::output_layer<float> const layer{.hidden = hidden, .matrix = weights};
    pass.expected_row_at = gradient_hidden;
    lm::linear_options const options{.for_backward = trained() ? lm::prepared::hidden_and_matrix
                                                               : lm::prepared::hidden};
    linear_log_prob(how, layer, {target}, {.log_prob = log_prob}, pass, options);
    linear_backward(
        how, layer, {target}, pass, {.log_prob = coefficient},
        {.hidden = gradient_hidden, .matrix = trained() ? gradient_matrix.data() : nullptr},
        options);
  }
  void products(lm::arithmetic<float> const& how, lm::weight_matrix<float> const& weights,
                std::vector<float>& logits) {
    multiply_by_weights(how, rows, hidden.data(), weights, logits.data(), false);
    multiply_back_by_weights(how, rows, static_cast<float const*>(logits.data()), weights,
                             gradient_hidden.data(), false);
    if (!trained()) return;
    add_weight_gradient(how, rows, static_cast<float const*>(logits.data()),
                        static_cast<float const*>(hidden.data()), vocabulary, width,
                        gradient_matrix.data());
  }
};

void beside_products(benchmark::State& state, lm::products<float> by, form what) {
  prefer::thread_pool pool(static_cast<unsigned>(state.range(1)));
  head layer(static_cast<std::size_t>(state.range(0)), what == form::trained);
  lm::arithmetic<float> how{by, pool.executor()};
  auto weights = lm::weights_at(vocabulary, width, layer.matrix.data());
  if (what == form::frozen_bfloat16) {
    how.weights = lm::compute_type::bf16;
    std::vector<std::byte> stored(layer.matrix.size() * 2);
    lm::detail::round_to_bfloat16(layer.matrix.data(), layer.matrix.size(),
                                  reinterpret_cast<prefer::bfloat16*>(stored.data()));
    weights = {lm::tensor_type::bf16, vocabulary, width, std::move(stored)};
  }
  std::vector<float> logits(layer.rows * vocabulary);
  layer.products(how, weights, logits);
  layer.run(how, weights);
  std::vector<double> ratio, of_head, of_products, peak;
  for (auto _ : state) {
    double const bare = measure::seconds([&] { layer.products(how, weights, logits); });
    double const all = measure::seconds([&] { layer.run(how, weights); });
    state.SetIterationTime(all);
    ratio.push_back(all / bare);
    of_head.push_back(all);
    of_products.push_back(bare);
    peak.push_back(measure::fma_peak(pool.executor()));
  }
  double const products_done = what == form::trained ? 3 : 2;
  double const operations =
      2 * products_done * static_cast<double>(layer.rows) * static_cast<double>(width * vocabulary);
  state.counters["over_products"] = measure::median(ratio);
  state.counters["GFLOPS"] = operations / measure::median(of_head) / 1e9;
  state.counters["products_GFLOPS"] = operations / measure::median(of_products) / 1e9;
  state.counters["peak_GFLOPS"] = measure::median(peak) / 1e9;
  state.SetLabel(std::string(by.name()));
}

// Memory beside what it is given and what it writes, at any length.
void extra_memory(benchmark::State& state, lm::products<float> by, form what) {
  prefer::thread_pool pool(static_cast<unsigned>(state.range(1)));
  double extra = 0;
  for (auto _ : state) {
    head layer(static_cast<std::size_t>(state.range(0)), what == form::trained);
    for (float& each : layer.gradient_matrix) each = 0;
    if (!measure::reset_peak()) state.SkipWithError("the system does not reset the peak");
    double const before = measure::resident_bytes();
    layer.run({by, pool.executor()}, lm::weights_at(vocabulary, width, layer.matrix.data()));
    extra = measure::peak_bytes() - before;
  }
  state.counters["extra_MB"] = extra / 1e6;
}

[[maybe_unused]] int const all_layers = [] {
  for (auto const& by : measure::libraries()) {
    std::string library(by.name());
    library = library.substr(0, library.find(' '));
    auto const add = [&](char const* name, form what) {
      benchmark::RegisterBenchmark(
          (std::string(name) + "/" + library).c_str(),
          [by, what](benchmark::State& state) { beside_products(state, by, what); })
          ->Args({512, 2})
          ->ArgNames({"rows", "threads"})
          ->UseManualTime()
          ->Iterations(7)
          ->Unit(benchmark::kMillisecond);
    };
    add("trained", form::trained);
    add("frozen", form::frozen);
    if (by.has_bfloat16()) add("frozen_bfloat16", form::frozen_bfloat16);
  }
  auto const by = measure::libraries().back();
  for (form const what : {form::trained, form::frozen}) {
    benchmark::RegisterBenchmark(
        what == form::trained ? "extra_memory/trained" : "extra_memory/frozen",
        [by, what](benchmark::State& state) { extra_memory(state, by, what); })
        ->Args({512, 2})
        ->Args({4096, 2})
        ->ArgNames({"rows", "threads"})
        ->Iterations(1)
        ->Unit(benchmark::kMillisecond);
  }
  return 0;
}();

}  // namespace
