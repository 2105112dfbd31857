// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include <prefer/lm/files/gguf_model.hpp>
#include <prefer/lm/files/peft_adapter.hpp>
#include <prefer/lm/files/safetensors_model.hpp>
#include <prefer/lm/model/saved_adapter.hpp>
#include <support/temporary_folder.hpp>

#include "tiny_models.hpp"

// What is written to disk computes what it was written from.

using namespace prefer;
using test::tiny_model;

namespace {

std::vector<double> log_probs(lm::llama<double>& policy, tiny_model const& model) {
  choice_batch const batch = model.pairs.data.batch();
  std::vector<double> out(batch.completions());
  policy.log_prob(batch, out);
  return out;
}
std::vector<double> log_probs_of_file(std::string const& path, tiny_model const& model) {
  lm::llama<double> policy(std::make_shared<lm::llama_base<double> const>(lm::model_file(path)),
                           model.pairs.texts);
  return log_probs(policy, model);
}

// Sums of some dozen terms of a few nats, each to 1e-12 of itself.
void check_same(std::vector<double> const& a, std::vector<double> const& b, double tolerance) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i != a.size(); ++i) {
    CHECK(std::abs(a[i] - b[i]) <= tolerance * std::max(1.0, std::abs(a[i])));
  }
}

}  // namespace

TEST_CASE(
    "written models: an adapter that was merged gives the log-probabilities that it gave beside "
    "its base",
    "[lm][model]") {
  for (std::string const name : test::tiny_models) {
    INFO(name);
    tiny_model const model(name);
    lm::model_file const file(model.folder);
    auto const adapter = lm::read_peft_adapter<double>(model.folder + "/adapter");
    auto const how = lm::lora_options_of(adapter);
    lm::llama<double> beside(model.base<double>(), model.pairs.texts, how);
    lm::copy_adapter({"adapter", name, 0}, adapter, beside.parameters(), how);
    beside.parameters_moved();
    auto const expected = log_probs(beside, model);

    temporary_folder const here;
    lm::merged_adapter<double> const merged(adapter);
    auto const no_tokenizer = [](lm::gguf_writer&) {};
    lm::write_gguf_model(here / "merged.gguf", file, merged, {.matrices = lm::tensor_type::f64},
                         no_tokenizer);
    check_same(log_probs_of_file(here / "merged.gguf", model), expected, 1e-9);
    lm::write_safetensors_model(here / "merged", file, merged, {.matrices = lm::tensor_type::f64});
    check_same(log_probs_of_file(here / "merged", model), expected, 1e-12);
    // As people merge: each weight rounded to a float.
    lm::write_gguf_model(here / "float.gguf", file, merged, {}, no_tokenizer);
    check_same(log_probs_of_file(here / "float.gguf", model), expected, 1e-5);
  }
}

TEST_CASE("written models: trained weights are read as they were trained", "[lm][model]") {
  for (std::string const name : {"llama_tied", "qwen2_bias"}) {
    INFO(name);
    tiny_model const model(name);
    auto const base = model.base<double>();
    lm::llama<double> policy(*base, model.pairs.texts, lm::full_fine_tuning{});
    for (auto const& each : policy.parameters()) {
      for (std::size_t i = 0; i != each.value.size(); ++i) {
        each.value[i] += 0.01 * std::sin(static_cast<double>(i));
      }
    }
    policy.parameters_moved();
    auto const expected = log_probs(policy, model);
    auto const parameters = policy.parameters();
    temporary_folder const here;
    lm::write_safetensors_model(here / "trained", lm::model_file(model.folder),
                                lm::trained_parameters<double>(parameters),
                                {.matrices = lm::tensor_type::f64});
    // Vectors that changed are written as floats.
    check_same(log_probs_of_file(here / "trained", model), expected, 1e-5);
    CHECK(lm::model_file(here / "trained").config().tied_output);
  }
}
