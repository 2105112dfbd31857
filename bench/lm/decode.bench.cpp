// SPDX-License-Identifier: MIT
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <prefer/lm/layers/vector_products.hpp>
#include <prefer/lm/model/llama.hpp>
#include <prefer/parallel/thread_pool.hpp>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "measure.hpp"

// One token after the other of a model of SmolLM2-135M's size, for range(0) sequences at once, beside what bounds it: a
// pass over the same bytes that only reads them, on the same threads, in turn with each step.
namespace {

using namespace prefer;

lm::llama_config smollm2_135m() {
  return {.architecture = "llama",
          .vocabulary = 49152,
          .width = 576,
          .layers = 30,
          .heads = 9,
          .key_value_heads = 3,
          .head_size = 64,
          .feed_forward = 1536,
          .context = 8192,
          .norm_epsilon = 1e-5,
          .rope_theta = 100000,
          .rope_scaling = {},
          .window = 0,
          .tied_output = true,
          .query_key_value_bias = false,
          .query_key_norm = false};
}

// Small numbers of either sign in every type.
std::shared_ptr<lm::llama_base<float> const> random_base(lm::tensor_type type) {
  auto const config = smollm2_135m();
  std::uint64_t state = 1;
  auto const next = [&state] {
    return state = state * 6364136223846793005u + 1442695040888963407u;
  };
  auto const matrix = [&](std::size_t rows, std::size_t columns) {
    std::vector<std::byte> bytes(rows * lm::row_bytes(type, columns));
    auto const put = [&](std::size_t at, auto number) {
      std::memcpy(&bytes[at], &number, sizeof number);
    };
    auto const number = [&] { return static_cast<float>(next() >> 40) * 0x1p-27f - 0.0625f; };
    if (type == lm::tensor_type::f32) {
      for (std::size_t i = 0; i != bytes.size(); i += 4) put(i, number());
    } else if (type == lm::tensor_type::bf16) {
      for (std::size_t i = 0; i != bytes.size(); i += 2) put(i, prefer::bfloat16(number()));
    } else {
      for (std::byte& each : bytes) each = static_cast<std::byte>(next() >> 56);
      // Scales as far apart as those of trained weights are.
      for (std::size_t i = 0; i != bytes.size(); i += lm::block_bytes(type)) {
        put(i, half(0.0002f + 0.0075f * (number() + 0.0625f)));
      }
    }
    return lm::weight_matrix<float>(type, rows, columns, std::move(bytes));
  };
  lm::llama_weights<float> names;
  names.layers.resize(config.layers);
  std::vector<std::pair<std::string, lm::map_shape>> shapes;
  lm::describe_tensors(config, names, [&](std::string const& name, auto shape, auto const&) {
    if constexpr (std::is_same_v<decltype(shape), lm::map_shape>) shapes.emplace_back(name, shape);
  });
  return std::make_shared<lm::llama_base<float> const>(
      config, 1,
      [&](std::string const& name) {
        auto const shape = std::find_if(shapes.begin(), shapes.end(), [&](auto const& each) {
                             return each.first == name;
                           })->second;
        return matrix(shape.out, shape.in);
      },
      [&](std::string const&) { return std::vector<float>(config.width, 1.0f); });
}

// Every matrix that a step multiplies, in pieces that are worth a thread's attention.
std::vector<std::span<std::byte const>> bytes_of(lm::llama_weights<float> const& weights) {
  std::vector<std::span<std::byte const>> pieces;
  constexpr std::size_t piece = std::size_t{1} << 15;
  auto const add = [&](lm::weight_matrix<float> const& of) {
    auto const all = of.row_bytes(0, of.rows());
    for (std::size_t at = 0; at < all.size(); at += piece) {
      pieces.push_back(all.subspan(at, std::min(piece, all.size() - at)));
    }
  };
  for (auto const& layer : weights.layers) {
    for (auto const& map : layer.maps) add(map);
  }
  add(weights.output);
  return pieces;
}
// As fast as was found: in a stream for each thread, asked for ahead by both caches.
void only_read(std::vector<std::span<std::byte const>> const& pieces, executor threads) {
  lm::detail::for_each_piece_in_streams(threads, pieces.size(), [&](std::size_t number) {
    using pack = lane<float>;
    constexpr std::size_t bytes = sizeof(pack);
    pack sums[4] = {0.0, 0.0, 0.0, 0.0};
    auto const piece = pieces[number];
    for (std::size_t at = 0; at + 4 * bytes <= piece.size(); at += 4 * bytes) {
      for (std::size_t line = 0; line < 4 * bytes; line += 64) {
        __builtin_prefetch(piece.data() + at + 4096 + line, 0, 2);
        __builtin_prefetch(piece.data() + at + 2048 + line);
      }
      for (std::size_t i = 0; i != 4; ++i) {
        pack part;
        std::memcpy(&part.v, piece.data() + at + i * bytes, bytes);
        sums[i] += part;
      }
    }
    benchmark::DoNotOptimize(sums);
  });
}

void decode(benchmark::State& state, lm::tensor_type type) {
  auto const base = random_base(type);
  auto const sequences = static_cast<std::size_t>(state.range(0));
  thread_pool pool(static_cast<unsigned>(state.range(1)));
  auto const pieces = bytes_of(base->weights());
  lm::attention_heads const heads{.heads = 9, .key_value_heads = 3, .head_size = 64, .window = 0};
  std::vector<lm::key_value_cache<float>> caches(sequences, lm::key_value_cache<float>(30, heads));
  std::vector<lm::key_value_cache<float>*> readers;
  for (auto& each : caches) readers.push_back(&each);
  std::vector<std::uint32_t> const tokens(sequences, 7);
  lm::llama_decoder<float> decoder(base->config());
  lm::llama_view<float> const view{.weights = &base->weights()};
  std::vector<double> step, bound;
  for (auto _ : state) {
    bound.push_back(measure::seconds([&] { only_read(pieces, pool.executor()); }));
    step.push_back(measure::seconds([&] { decoder.step(view, pool.executor(), readers, tokens); }));
    state.SetIterationTime(step.back());
  }
  double bytes = 0;
  for (auto const& each : pieces) bytes += static_cast<double>(each.size());
  double const of_bound = measure::median(bound);
  state.counters["share_of_bound"] = of_bound / measure::median(step);
  state.counters["tokens/s"] = static_cast<double>(sequences) / measure::median(step);
  state.counters["GB/s"] = bytes / of_bound * 1e-9;
}

void sizes(benchmark::internal::Benchmark* of) {
  for (int const sequences : {1, 8}) of->Args({sequences, 2});
  of->ArgNames({"sequences", "threads"})
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond)
      ->MinTime(2);
}
BENCHMARK_CAPTURE(decode, f32, lm::tensor_type::f32)->Apply(sizes);
BENCHMARK_CAPTURE(decode, bf16, lm::tensor_type::bf16)->Apply(sizes);
BENCHMARK_CAPTURE(decode, q8_0, lm::tensor_type::q8_0)->Apply(sizes);

}  // namespace
