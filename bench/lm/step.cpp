// SPDX-License-Identifier: MIT
#include <algorithm>
#include <atomic>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <prefer/lm/files/model_file.hpp>
#include <prefer/lm/model/llama.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/without_adapter.hpp>
#include <prefer/train/trainer.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "measure.hpp"
#include "settings.hpp"

// DPO steps of a language model, by part, beside the multiply-adds of this machine in the same run:
//
//   lm_step model=FILE [mode=full|lora] [weights=values|bf16|as_stored] [compute=full|bf16]
//           [reference=cached|adapter_off|frozen] [pairs=4] [prompt=64] [completion=64] [micro=0] [steps=6] [threads=2]
//           [products=oneDNN] [ask=0]
//
// Each step is a line of JSON. With ask=1 a step is taken for each line on the standard input: bench/peers/step does so,
// to take turns with another program. The last line is of the products of a step alone, the same ones by the same library,
// with nothing between them.
namespace {

namespace lm = prefer::lm;

/// A product's sizes, and how its operands lie.
struct product_shape {
  std::size_t rows, columns, depth, left_stride, right_stride, to_stride;
  bool left_transposed, right_transposed, add, rounded;
  auto operator<=>(product_shape const&) const = default;
};

/// Another library, how long it took, for how much, and in what pieces.
struct counted_library {
  lm::products<float> of;
  mutable std::atomic<std::uint64_t> nanoseconds{0}, operations{0};
  mutable bool notes_shapes = true;  // of one step
  mutable std::map<product_shape, std::size_t> shapes = {};
  mutable std::mutex alone = {};

  explicit counted_library(lm::products<float> library) : of(library) {}
  std::string_view name() const { return of.name(); }
  template <class P>
  void multiply(P const& p) const {
    double const seconds = measure::seconds([&] { of.multiply(p); });
    nanoseconds += static_cast<std::uint64_t>(seconds * 1e9);
    operations += 2 * p.rows * p.columns * p.depth;
    if (!notes_shapes) return;
    bool left_transposed = false;
    if constexpr (requires { p.left_transposed; }) left_transposed = p.left_transposed;
    std::lock_guard const lock(alone);
    ++shapes[{p.rows, p.columns, p.depth, p.left_stride, p.right_stride, p.to_stride,
              left_transposed, p.right_transposed, p.add, !std::same_as<P, lm::product<float>>}];
  }
  template <class P>
  lm::row_rule rows_alike(P const& p) const {
    return of.rows_alike(p);
  }
  bool has_bfloat16() const { return of.has_bfloat16(); }
};

/// Seconds of all products of a step, each thread taking the next one when it has none: what a library needs for them where
/// nothing waits for anything. Right operands, weights for the most part, come from memory as they do in a step; the others
/// stay where a thread has them.
double bare_seconds(counted_library const& library, prefer::executor threads) {
  constexpr std::size_t numbers_of_right = 1 << 24;
  std::vector<product_shape> all;
  std::size_t most_left = 0, most_right = 0, most_to = 0;
  for (auto const& [shape, count] : library.shapes) {
    all.insert(all.end(), count, shape);
    auto const numbers = [](std::size_t across, std::size_t along, bool turned,
                            std::size_t stride) { return (turned ? along : across) * stride; };
    most_left = std::max(
        most_left, numbers(shape.rows, shape.depth, shape.left_transposed, shape.left_stride));
    most_right = std::max(most_right, numbers(shape.depth, shape.columns, shape.right_transposed,
                                              shape.right_stride));
    most_to = std::max(most_to, shape.rows * shape.to_stride);
  }
  std::size_t const lanes = threads.concurrency();
  std::vector<float> left(lanes * most_left, 0.5f), right(numbers_of_right + most_right, 0.5f),
      to(lanes * most_to);
  std::vector<prefer::bfloat16> const rounded(right.begin(), right.end());
  std::atomic<std::size_t> next = 0;
  return measure::seconds([&] {
    threads.for_each_chunk(lanes, [&](std::size_t lane) {
      for (std::size_t i; (i = next++) < all.size();) {
        product_shape const& s = all[i];
        std::size_t const at = i * 331'776 % numbers_of_right;
        auto const run = [&](auto p) {
          p.rows = s.rows;
          p.columns = s.columns;
          p.depth = s.depth;
          p.left_stride = s.left_stride;
          p.right_stride = s.right_stride;
          p.right_transposed = s.right_transposed;
          p.to = to.data() + lane * most_to;
          p.to_stride = s.to_stride;
          p.add = s.add;
          library.of.multiply(p);
        };
        if (s.rounded) {
          run(lm::bfloat16_product{.left = rounded.data(), .right = rounded.data() + at});
        } else {
          run(lm::product<float>{.left = left.data() + lane * most_left,
                                 .left_transposed = s.left_transposed,
                                 .right = right.data() + at});
        }
      }
    });
  });
}

using measure::settings;

settings settings_of(int count, char** arguments) {
  return {"lm_step",
          {{"model", ""},
           {"mode", "full"},
           {"weights", "values"},
           {"compute", "full"},
           {"reference", "cached"},
           {"pairs", "4"},
           {"prompt", "64"},
           {"completion", "64"},
           {"micro", "0"},
           {"steps", "6"},
           {"threads", "2"},
           {"products", ""},
           {"ask", "0"}},
          count,
          arguments};
}

template <class Policy, class Reference>
void take_steps(settings const& by, Policy& policy, Reference& reference,
                prefer::choice_data const& data, prefer::executor threads,
                counted_library const& library) {
  std::size_t const pairs = by.number("pairs"), steps = by.number("steps");
  prefer::trainer training(policy, prefer::dpo{.beta = 0.1}, reference, data,
                           {.batch_size = pairs,
                            .micro_batch_size = by.number("micro"),
                            .steps = steps + 1000,
                            .rate = by("mode") == "full" ? 1e-6 : 1e-5,
                            .max_gradient_norm = 1.0,
                            .threads = threads});
  // As TRL counts them: a pair's prompt twice.
  double const tokens =
      static_cast<double>(pairs * 2 * (by.number("prompt") + by.number("completion")));
  bool const asks = by.number("ask") != 0;
  std::string line;
  for (std::size_t step = 0; asks ? static_cast<bool>(std::getline(std::cin, line)) : step != steps;
       ++step) {
    double const peak = measure::fma_peak(threads);
    library.nanoseconds = library.operations = 0;
    double loss = 0;
    double const seconds = measure::seconds([&] { loss = training.step().loss; });
    double const in_products =
        static_cast<double>(library.nanoseconds) * 1e-9 / threads.concurrency();
    double const operations = static_cast<double>(library.operations);
    std::printf(
        "{\"seconds\": %.4f, \"tokens_s\": %.1f, \"loss\": %.6f, \"products_s\": %.4f, "
        "\"gflop\": %.1f, \"of_peak\": %.3f, \"products_of_peak\": %.3f, \"peak_gflops\": %.1f, "
        "\"peak_mb\": %.0f, \"products\": \"%s\"}\n",
        seconds, tokens / seconds, loss, in_products, operations / 1e9, operations / seconds / peak,
        operations / in_products / peak, peak / 1e9, measure::peak_bytes() / 1048576,
        std::string(library.name()).c_str());
    std::fflush(stdout);
    library.notes_shapes = false;
  }
  double const operations = static_cast<double>(library.operations);
  std::vector<double> seconds, of_peak;
  for (int i = 0; i != 5; ++i) {
    double const peak = measure::fma_peak(threads);
    seconds.push_back(bare_seconds(library, threads));
    of_peak.push_back(operations / seconds.back() / peak);
  }
  std::printf("{\"bare_s\": %.4f, \"bare_of_peak\": %.3f}\n", measure::median(seconds),
              measure::median(of_peak));
}

int run(settings const& by) {
  prefer::thread_pool pool(static_cast<unsigned>(by.number("threads")));
  // The file is open no longer than weights are read: its pages count as memory while they are mapped.
  std::filesystem::path const path(by("model"));

  // Random tokens: what they say changes no time. A batch of pairs for each step, and no more than 64.
  prefer::token_sequences texts;
  prefer::choice_data data;
  prefer::random_stream numbers({.seed = 5});
  auto const text = [&](std::size_t length) {
    std::vector<std::uint32_t> out(length);
    for (auto& each : out) each = static_cast<std::uint32_t>(100 + numbers.next64() % 40000);
    return out;
  };
  for (std::size_t pair = 0; pair != by.number("pairs") * 16; ++pair) {
    auto const prompt = texts.prompts.add(text(by.number("prompt")));
    auto const chosen = texts.completions.add(text(by.number("completion")));
    data.add_pair(prompt, chosen, texts.completions.add(text(by.number("completion"))));
  }
  counted_library const library(measure::library_named(by("products")));
  lm::llama_options<float> const how{
      .by = {library, pool.executor(),
             by("compute") == "bf16" ? lm::compute_type::bf16 : lm::compute_type::full}};
  auto const storage = by("weights") == "bf16"        ? lm::weight_storage::bf16
                       : by("weights") == "as_stored" ? lm::weight_storage::as_stored
                                                      : lm::weight_storage::values;
  std::vector<float> const zeros(2 * data.size(), -100.0f);
  auto cached = prefer::cached<float>::given(zeros, data, 1);
  if (by("mode") == "full") {
    bool const frozen = by("reference") == "frozen";
    auto base = std::make_shared<lm::llama_base<float> const>(
        lm::model_file(path), frozen ? storage : lm::weight_storage::as_stored, pool.executor());
    lm::llama<float> policy(*base, texts, lm::full_fine_tuning{}, how);
    if (frozen) {
      prefer::frozen reference(lm::llama<float>(base, texts, how));
      take_steps(by, policy, reference, data, pool.executor(), library);
    } else {
      base.reset();
      take_steps(by, policy, cached, data, pool.executor(), library);
    }
    return 0;
  }
  auto const base =
      std::make_shared<lm::llama_base<float> const>(lm::model_file(path), storage, pool.executor());
  lm::llama<float> policy(base, texts, lm::lora_options{.rank = 16, .alpha = 32}, how);
  if (by("reference") == "adapter_off") {
    prefer::without_adapter reference(policy);
    take_steps(by, policy, reference, data, pool.executor(), library);
  } else {
    take_steps(by, policy, cached, data, pool.executor(), library);
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    return run(settings_of(count, arguments));
  } catch (std::exception const& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
