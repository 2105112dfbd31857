// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <prefer/lm/files/llama_config.hpp>
#include <prefer/lm/model/llama.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/parallel/thread_pool.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/train/trainer.hpp>
#include <span>
#include <string>
#include <vector>

#include "measure.hpp"
#include "settings.hpp"

// DPO steps of a model that is so small that everything around the arithmetic counts: 4 layers of width 128, a vocabulary of
// 512, 0.9 million parameters, all of which train; a prompt of 32 tokens and two completions of 32.
//
//   lm_small [pairs=32] [threads=2] [products=oneDNN] [steps=200] [ask=0]
//
// Prints seconds of a step, the median. With ask=1 as many steps are taken for each line on the standard input:
// bench/peers/small.py does so, to take turns with another program.
namespace {

namespace lm = prefer::lm;

constexpr std::size_t tokens_of_text = 32;

/// Every matrix random, with the deviation that PyTorch's layers begin with; norms of one.
lm::llama_base<float> small_base() {
  lm::llama_config const config{.architecture = "llama",
                                .vocabulary = 512,
                                .width = 128,
                                .layers = 4,
                                .heads = 4,
                                .key_value_heads = 4,
                                .head_size = 32,
                                .feed_forward = 344,
                                .context = 64,
                                .norm_epsilon = 1e-5,
                                .rope_scaling = {}};
  std::uint64_t seed = 0;
  auto const matrix = [&](std::string const& name) {
    lm::map_shape shape{config.vocabulary, config.width};
    for (lm::linear_map const map : lm::every_linear_map) {
      if (name.find(lm::name_of(map)) != std::string::npos) shape = lm::shape_of(config, map);
    }
    std::vector<float> numbers(shape.out * shape.in);
    prefer::fill_normal(std::span(numbers), {.seed = ++seed}, 0, 0.05);
    return lm::weight_matrix<float>(shape.out, shape.in, std::move(numbers));
  };
  return {config, 0, matrix,
          [&](std::string const&) { return std::vector<float>(config.width, 1.0f); }};
}

int run(measure::settings const& by) {
  prefer::thread_pool pool(static_cast<unsigned>(by.number("threads")));
  auto const library = measure::library_named(by("products"));
  std::size_t const pairs = by.number("pairs"), steps = by.number("steps");

  prefer::token_sequences texts;
  prefer::choice_data data;
  prefer::random_stream numbers({.seed = 5});
  auto const text = [&] {
    std::vector<std::uint32_t> out(tokens_of_text);
    for (auto& each : out) each = static_cast<std::uint32_t>(numbers.next64() % 512);
    return out;
  };
  for (std::size_t pair = 0; pair != pairs; ++pair) {
    auto const prompt = texts.prompts.add(text());
    auto const chosen = texts.completions.add(text());
    data.add_pair(prompt, chosen, texts.completions.add(text()));
  }
  lm::llama_base<float> const base = small_base();
  lm::llama<float> policy(base, texts, lm::full_fine_tuning{}, {.by = {library, pool.executor()}});
  std::vector<float> const start(2 * pairs, -200.0f);
  auto reference = prefer::cached<float>::given(start, data, 1);
  prefer::trainer training(
      policy, prefer::dpo{.beta = 0.1}, reference, data,
      {.batch_size = pairs, .steps = 10'000'000, .rate = 1e-4, .threads = pool.executor()});
  bool const asks = by.number("ask") != 0;
  std::string line;
  do {
    if (asks && !std::getline(std::cin, line)) break;
    std::vector<double> seconds;
    double loss = 0;
    for (std::size_t step = 0; step != steps; ++step) {
      seconds.push_back(measure::seconds([&] { loss = training.step().loss; }));
    }
    std::printf("{\"seconds\": %.7f, \"loss\": %.6f, \"products\": \"%s\"}\n",
                measure::median(seconds), loss, std::string(library.name()).c_str());
    std::fflush(stdout);
  } while (asks);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    return run(
        {"lm_small",
         {{"pairs", "32"}, {"threads", "2"}, {"products", ""}, {"steps", "200"}, {"ask", "0"}},
         count,
         arguments});
  } catch (std::exception const& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
