// SPDX-License-Identifier: MIT
//
// What reading preference rows costs: each reader beside nlohmann's bare parse of the same lines, and simdjson's where its
// header is here (Debian: libsimdjson-dev; link with -lsimdjson). Rates are of the text's bytes.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include <prefer/data/preference.hpp>

#if defined(PREFER_HAS_SIMDJSON)
#include <simdjson.h>
#endif

namespace {

namespace data = prefer::data;

constexpr std::size_t rows = 2000;

std::string words(std::size_t seed, std::size_t count) {
  static constexpr std::string_view all[] = {"the",     "slate", "wet",    "tide",
                                             "turns",   "noon",  "\\n\\n", "caf\xC3\xA9",
                                             "because", "of",    "a",      "ferry"};
  std::string out;
  for (std::size_t i = 0; i < count; ++i) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    out += std::string(i == 0 ? "" : " ") + std::string(all[(seed >> 33) % std::size(all)]);
  }
  return out;
}

/// Rows as UltraFeedback's binarized set has them, about two kilobytes each.
std::string conversations() {
  std::string out;
  for (std::size_t i = 0; i < rows; ++i) {
    std::string const question = words(i, 60);
    auto const side = [&](std::size_t seed) {
      return "[{\"content\":\"" + question + "\",\"role\":\"user\"},{\"content\":\"" +
             words(seed, 160) + "\",\"role\":\"assistant\"}]";
    };
    out += "{\"prompt\":\"" + question + "\",\"prompt_id\":\"" + std::to_string(i * 7919) +
           "\",\"chosen\":" + side(3 * i + 1) + ",\"rejected\":" + side(3 * i + 2) +
           ",\"score_chosen\":8.5,\"score_rejected\":7.0}\n";
  }
  return out;
}
/// Three short texts.
std::string texts() {
  std::string out;
  for (std::size_t i = 0; i < rows; ++i) {
    out += "{\"prompt\":\"" + words(i, 20) + "\",\"chosen\":\"a " + words(3 * i + 1, 30) +
           "\",\"rejected\":\"b " + words(3 * i + 2, 30) + "\"}\n";
  }
  return out;
}
std::string const& text_of(std::int64_t which) {
  static std::string const all[] = {texts(), conversations()};
  return all[which];
}
void rate(benchmark::State& state, std::string const& text) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * rows));
}

template <class Use>
void each_line(std::string_view text, Use const& use) {
  while (!text.empty()) {
    auto const end = text.find('\n');
    use(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
}

void bare_nlohmann(benchmark::State& state) {
  std::string const& text = text_of(state.range(0));
  for (auto _ : state) {
    each_line(text, [](std::string_view line) {
      auto const row = nlohmann::json::parse(line);
      benchmark::DoNotOptimize(row.size());
    });
  }
  rate(state, text);
}
void json_lines(benchmark::State& state) {
  std::string const& text = text_of(state.range(0));
  for (auto _ : state) {
    for (auto const& row : data::json_lines_in(text)) benchmark::DoNotOptimize(row.fields.size());
  }
  rate(state, text);
}
void pairs(benchmark::State& state) {
  std::string const& text = text_of(state.range(0));
  for (auto _ : state) {
    for (auto const& pair : data::pairs_in(text)) benchmark::DoNotOptimize(pair.line);
  }
  rate(state, text);
}

BENCHMARK(bare_nlohmann)->Arg(0)->Arg(1)->UseRealTime();
BENCHMARK(json_lines)->Arg(0)->Arg(1)->UseRealTime();
BENCHMARK(pairs)->Arg(0)->Arg(1)->UseRealTime();

#if defined(PREFER_HAS_SIMDJSON)
void bare_simdjson(benchmark::State& state) {
  std::string const& text = text_of(state.range(0));
  simdjson::dom::parser parser;
  for (auto _ : state) {
    each_line(text, [&](std::string_view line) {
      auto const row = parser.parse(line);
      benchmark::DoNotOptimize(row.error());
    });
  }
  rate(state, text);
}
BENCHMARK(bare_simdjson)->Arg(0)->Arg(1)->UseRealTime();
#endif

}  // namespace
