// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <prefer/lm/model/llama.hpp>
#include <prefer/parallel/thread_pool.hpp>

// A real model, SmolLM2-135M-Instruct, against PyTorch on the same file (tests/golden/llm). It is 93 MB, so it is not here:
// PREFER_SMOLLM2 names it, or scripts/model has put it into .cache.

using namespace prefer;

namespace {

std::string model_path() {
  if (char const* const named = std::getenv("PREFER_SMOLLM2")) return named;
  std::string const cached = PREFER_SOURCE_DIR "/.cache/SmolLM2-135M-Instruct.Q4_1.gguf";
  return std::filesystem::exists(cached) ? cached : "";
}

nlohmann::json golden(char const* name) {
  nlohmann::json out;
  std::ifstream(PREFER_GOLDEN_DIR "/llm/" + std::string(name)) >> out;
  return out;
}
double number(nlohmann::json const& of) { return of.get<double>(); }

}  // namespace

TEST_CASE("llama: SmolLM2's log-probabilities and gradients are PyTorch's", "[lm][llama][golden]") {
  std::string const path = model_path();
  if (path.empty()) {
    WARN(
        "skipped: SmolLM2 is not here; scripts/model fetches it, or PREFER_SMOLLM2 names its file");
    return;
  }
  auto const rows = golden("log_probs.json").at("rows");
  token_sequences texts;
  choice_data data;
  for (auto const& row : rows) {
    auto const ids = [](nlohmann::json const& of) { return of.get<std::vector<std::uint32_t>>(); };
    std::uint32_t const prompt = texts.prompts.add(ids(row.at("prompt_ids")));
    std::uint32_t const chosen = texts.completions.add(ids(row.at("chosen").at("ids")));
    data.add_pair(prompt, chosen, texts.completions.add(ids(row.at("rejected").at("ids"))));
  }
  thread_pool threads(2);
  // From what the file holds straight to what trains: the weights are in memory once.
  auto base = std::make_unique<lm::llama_base<float> const>(
      lm::model_file(path), lm::weight_storage::as_stored, threads.executor());
  lm::llama<float> policy(*base, texts, lm::full_fine_tuning{});
  base.reset();
  policy.use(threads.executor());

  choice_batch const all = data.batch();
  std::vector<std::size_t> offset;
  policy.token_offsets(all, offset);
  std::vector<float> token(offset.back());
  policy.token_log_prob(all, token);
  for (std::size_t i = 0; i != all.completions(); ++i) {
    auto const& theirs = rows.at(i / 2).at(i % 2 == 0 ? "chosen" : "rejected");
    double sum = 0;
    for (std::size_t t = offset[i]; t != offset[i + 1]; ++t) {
      sum += static_cast<double>(token[t]);
      CHECK(token[t] == Approx(number(theirs.at("log_probs").at(t - offset[i]))).margin(2e-3));
    }
    CHECK(sum == Approx(number(theirs.at("sum"))).margin(1e-2));
  }

  auto const expected = golden("gradients.json");
  choice_batch const two{.prompt = all.prompt.first(2),
                         .completion = all.completion.first(4),
                         .offset = all.offset.first(3)};
  std::vector<float> sums(4), coefficient(4);
  policy.evaluate(two, {.log_prob = sums});
  double const beta = number(expected.at("beta"));
  double loss = 0;
  for (std::size_t g = 0; g != 2; ++g) {
    auto const& reference = expected.at("reference").at(g);
    double const margin = static_cast<double>(sums[2 * g]) - number(reference.at("chosen")) -
                          (static_cast<double>(sums[2 * g + 1]) - number(reference.at("rejected")));
    // Of -log sigmoid(beta * margin), half of the mean over two pairs.
    loss += std::log1p(std::exp(-beta * margin)) / 2;
    coefficient[2 * g] = static_cast<float>(-beta / (1 + std::exp(beta * margin)) / 2);
    coefficient[2 * g + 1] = -coefficient[2 * g];
  }
  CHECK(loss == Approx(number(expected.at("loss"))).margin(1e-4));
  policy.backward(two, coefficient);
  policy.finish_backward();
  std::map<std::string, parameter<float>> ours;
  double squares_of_all = 0;
  auto const norm = [](std::span<float const> of) {
    double squares = 0;
    for (float const each : of) squares += static_cast<double>(each) * static_cast<double>(each);
    return std::sqrt(squares);
  };
  for (auto const& each : policy.parameters()) {
    ours[std::string(each.name)] = each;
    squares_of_all += norm(each.gradient) * norm(each.gradient);
  }
  CHECK(std::sqrt(squares_of_all) == Approx(number(expected.at("total_norm"))).epsilon(1e-3));
  for (auto const& [name, gradient] : expected.at("gradients").items()) {
    INFO(name);
    double const theirs = number(gradient.at("norm"));
    CHECK(norm(ours.at(name).gradient) == Approx(theirs).epsilon(1e-3));
    for (auto const& sample : gradient.at("samples")) {
      CHECK(ours.at(name).gradient[static_cast<std::size_t>(number(sample.at(0)))] ==
            Approx(number(sample.at(1))).margin(1e-3 * theirs));
    }
  }
}
