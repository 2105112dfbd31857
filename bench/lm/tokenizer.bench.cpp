// SPDX-License-Identifier: MIT
//
// What encoding costs, in bytes of text, beside its two bounds: cutting the text into pre-tokens, which a regular expression
// does, and looking through it for what is no UTF-8. With the vocabulary of SmolLM2 where PREFER_SMOLLM2 says where that
// model is, else with that of a tiny model, whose 122 merges leave more tokens.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/lm/text/open_tokenizer.hpp>

namespace {

namespace lm = prefer::lm;

std::string model() {
  char const* const given = std::getenv("PREFER_SMOLLM2");
  return given != nullptr ? given : PREFER_SOURCE_DIR "/tests/golden/lm_tiny/llama_tied";
}
lm::tokenizer const& words() {
  static lm::tokenizer const opened = lm::open_tokenizer(model());
  return opened;
}

/// A megabyte of each kind, made of words in an order that no cache knows.
std::string text_of(std::vector<std::string_view> const& words) {
  std::string out;
  std::uint64_t seed = 1;
  while (out.size() < (std::size_t{1} << 20)) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    out += words[(seed >> 33) % words.size()];
  }
  return out;
}
std::string const& english() {
  static std::string const text = text_of({" the",
                                           " harbour",
                                           " was",
                                           " quiet",
                                           ",",
                                           " and",
                                           " nobody",
                                           " knew",
                                           " who",
                                           " had",
                                           " lit",
                                           " lamp",
                                           " at",
                                           " end",
                                           " of",
                                           ".\n\n",
                                           " She",
                                           " counted",
                                           " 12",
                                           " stones",
                                           ";",
                                           " don't",
                                           " unpredictability",
                                           " (rain)",
                                           " Marseille",
                                           " of",
                                           " to",
                                           " a",
                                           " weather-worn"});
  return text;
}
std::string const& mixed() {
  static std::string const text = text_of(
      {"你好", "世界，", " Привет", " мир", "🙂", "नमस्ते ", " 12345", "\r\n", " naïve", " café",
       "  ", "{\"k\": [1, 2.5e-3]}", "こんにちは", " مرحبا", "::", " Grüße", "x**2"});
  return text;
}
/// What nothing splits: the longer way of merging.
std::string const& unbroken() {
  static std::string const text = text_of({"a", "b", "the", "xyz", "qu", "e"});
  return text;
}

void rate(benchmark::State& state, std::string const& text) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                          static_cast<std::int64_t>(text.size()));
}

void encode(benchmark::State& state, std::string const& text) {
  std::vector<std::uint32_t> tokens;
  for (auto _ : state) {
    tokens.clear();
    words().encode(text, tokens);
    benchmark::DoNotOptimize(tokens.data());
  }
  rate(state, text);
  state.counters["bytes per token"] =
      static_cast<double>(text.size()) / static_cast<double>(tokens.size());
}
void split(benchmark::State& state, std::string const& text) {
  lm::splitter const cut(lm::find_pre_tokenizer("smollm")->pattern);
  std::size_t pieces = 0;
  for (auto _ : state) cut.split(text, [&](std::string_view) { ++pieces; });
  benchmark::DoNotOptimize(pieces);
  rate(state, text);
}
void look_for_invalid(benchmark::State& state, std::string const& text) {
  for (auto _ : state) benchmark::DoNotOptimize(prefer::text::first_invalid_utf8(text));
  rate(state, text);
}
void decode(benchmark::State& state, std::string const& text) {
  std::vector<std::uint32_t> tokens;
  words().encode(text, tokens);
  for (auto _ : state) benchmark::DoNotOptimize(words().decode(tokens));
  rate(state, text);
}
void open(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(lm::open_tokenizer(model()).vocabulary());
}

BENCHMARK_CAPTURE(encode, english, english());
BENCHMARK_CAPTURE(encode, mixed, mixed());
BENCHMARK_CAPTURE(encode, unbroken, unbroken());
BENCHMARK_CAPTURE(split, english, english());
BENCHMARK_CAPTURE(split, mixed, mixed());
BENCHMARK_CAPTURE(look_for_invalid, english, english());
BENCHMARK_CAPTURE(look_for_invalid, mixed, mixed());
BENCHMARK_CAPTURE(decode, english, english());
BENCHMARK(open)->Unit(benchmark::kMillisecond);

}  // namespace
