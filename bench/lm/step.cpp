// SPDX-License-Identifier: MIT
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <prefer/expects.hpp>
#include <prefer/lm/files/model_file.hpp>
#include <prefer/lm/model/llama.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/without_adapter.hpp>
#include <prefer/train/trainer.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "measure.hpp"

// DPO steps of a language model, by part, beside the multiply-adds of this machine in the same run:
//
//   lm_step model=FILE [mode=full|lora] [weights=values|bf16|as_stored] [compute=full|bf16] [reference=cached|adapter_off]
//           [pairs=4] [prompt=64] [completion=64] [micro=0] [steps=6] [threads=2] [products=oneDNN] [ask=0]
//
// Each step is a line of JSON. With ask=1 a step is taken for each line on the standard input: bench/peers/step does so,
// to take turns with another program.
namespace {

namespace lm = prefer::lm;

/// Another library, and how long it took, and for how much.
struct counted_library {
  lm::products<float> of;
  mutable std::atomic<std::uint64_t> nanoseconds{0}, operations{0};

  explicit counted_library(lm::products<float> library) : of(library) {}
  std::string_view name() const { return of.name(); }
  template <class P>
  void multiply(P const& p) const {
    double const seconds = measure::seconds([&] { of.multiply(p); });
    nanoseconds += static_cast<std::uint64_t>(seconds * 1e9);
    operations += 2 * p.rows * p.columns * p.depth;
  }
  template <class P>
  lm::row_rule rows_alike(P const& p) const {
    return of.rows_alike(p);
  }
  bool has_bfloat16() const { return of.has_bfloat16(); }
};

struct settings {
  std::map<std::string, std::string> given = {
      {"model", ""},       {"mode", "full"},        {"weights", "values"},
      {"compute", "full"}, {"reference", "cached"}, {"pairs", "4"},
      {"prompt", "64"},    {"completion", "64"},    {"micro", "0"},
      {"steps", "6"},      {"threads", "2"},        {"products", ""},
      {"ask", "0"}};

  settings(int count, char** arguments) {
    for (int i = 1; i < count; ++i) {
      std::string const each = arguments[i];
      auto const equals = each.find('=');
      if (equals == std::string::npos || given.count(each.substr(0, equals)) == 0) {
        prefer::refuse("lm_step: " + each + " is no setting");
      }
      given[each.substr(0, equals)] = each.substr(equals + 1);
    }
  }
  std::string const& operator()(char const* name) const { return given.at(name); }
  std::size_t number(char const* name) const { return std::stoul(given.at(name)); }
};

lm::products<float> library_of(std::string const& name) {
  for (auto const& each : measure::libraries()) {
    if (!name.empty() && std::string(each.name()).rfind(name, 0) == 0) return each;
  }
  return measure::libraries().back();
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
  }
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
  counted_library const library(library_of(by("products")));
  lm::llama_options<float> const how{
      .by = {library, pool.executor(),
             by("compute") == "bf16" ? lm::compute_type::bf16 : lm::compute_type::full}};
  auto const storage = by("weights") == "bf16"        ? lm::weight_storage::bf16
                       : by("weights") == "as_stored" ? lm::weight_storage::as_stored
                                                      : lm::weight_storage::values;
  std::vector<float> const zeros(2 * data.size(), -100.0f);
  auto cached = prefer::cached<float>::given(zeros, data, 1);
  if (by("mode") == "full") {
    auto base = std::make_unique<lm::llama_base<float> const>(
        lm::model_file(path), lm::weight_storage::as_stored, pool.executor());
    lm::llama<float> policy(*base, texts, lm::full_fine_tuning{}, how);
    base.reset();
    take_steps(by, policy, cached, data, pool.executor(), library);
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
    return run(settings(count, arguments));
  } catch (std::exception const& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
