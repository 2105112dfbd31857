// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <prefer/lm/files/peft_adapter.hpp>
#include <prefer/lm/files/safetensors_model.hpp>
#include <prefer/lm/model/saved_adapter.hpp>
#include <prefer/random/distributions.hpp>
#include <support/temporary_folder.hpp>

#include "tiny_models.hpp"

using namespace prefer;
using test::tiny_model;

namespace {

lm::adapter_pair<double> const& pair_of(lm::adapter<double> const& adapter,
                                        std::string const& module) {
  for (auto const& each : adapter.pairs) {
    if (each.module == module) return each;
  }
  throw std::runtime_error("no pair " + module);
}

std::vector<double> log_probs(lm::llama<double>& policy, choice_batch const& batch) {
  std::vector<double> out(batch.completions());
  policy.log_prob(batch, out);
  return out;
}

}  // namespace

TEST_CASE("saved adapters: a policy's parameters become one and take one", "[lm][model]") {
  auto const adapter = lm::read_peft_adapter<double>(tiny_model("llama_tied").folder + "/adapter");
  std::vector<std::string> names;
  std::vector<std::vector<double>> values;
  for (auto const& pair : adapter.pairs) {
    names.push_back("base_model.model." + pair.module + ".lora_A.weight");
    values.emplace_back(pair.a.size());
    names.push_back("base_model.model." + pair.module + ".lora_B.weight");
    values.emplace_back(pair.b.size());
  }
  std::vector<parameter<double>> parameters;
  for (std::size_t i = 0; i != names.size(); ++i) {
    auto const& pair = adapter.pairs[i / 2];
    auto const shape =
        i % 2 == 0 ? tensor_shape{pair.rank, pair.in} : tensor_shape{pair.out, pair.rank};
    parameters.push_back({.name = names[i], .value = values[i], .gradient = {}, .shape = shape});
  }
  data::place const at{"adapter", "a", 0};
  lm::lora_options const how{.rank = 4, .alpha = 6};
  lm::copy_adapter(at, adapter, parameters, how);
  auto const back = lm::adapter_of(parameters, how);
  CHECK(back.rank == 4);
  for (auto const& pair : adapter.pairs) {
    CHECK(pair_of(back, pair.module).a == pair.a);
    CHECK(pair_of(back, pair.module).b == pair.b);
    CHECK(pair_of(back, pair.module).scale == 1.5);
  }
  CHECK_THROWS_WITH(lm::copy_adapter(at, adapter, parameters, {.rank = 4, .alpha = 8}),
                    Catch::Contains("is multiplied by 1.5"));
  auto fewer = parameters;
  fewer.resize(2);
  CHECK_THROWS_WITH(lm::copy_adapter(at, adapter, fewer, how),
                    Catch::Contains("which the policy does not"));
  auto less = adapter;
  less.pairs.pop_back();
  CHECK_THROWS_WITH(lm::copy_adapter(at, less, parameters, how),
                    Catch::Contains("the adapter has no tensor"));
}

TEST_CASE("saved adapters: maps with ranks and scales of their own compute what is merged of them",
          "[lm][model]") {
  for (char const* const name : test::tiny_models) {
    INFO(name);
    tiny_model const model(name);
    auto const base = model.base<double>();
    auto const how = test::uneven_adapter();
    lm::llama<double> policy(base, model.pairs.texts, how);
    std::uint64_t draw = 0;
    for (auto const& each : policy.parameters()) {
      fill_normal(each.value, {.seed = 8, .step = ++draw}, 0, 0.3);
    }
    policy.parameters_moved();
    choice_batch const batch = model.pairs.data.batch();
    auto const expected = log_probs(policy, batch);
    temporary_folder const here;
    lm::write_peft_adapter(here / "adapter", lm::adapter_of(policy.parameters(), how));

    // Merged, by code that knows nothing of policies; a double may round each of some hundred products.
    auto const saved = lm::read_peft_adapter<double>(here / "adapter");
    REQUIRE(saved.pairs.size() == how.maps.size());
    lm::write_safetensors_model(here / "merged", lm::model_file(model.folder),
                                lm::merged_adapter<double>(saved),
                                {.matrices = lm::tensor_type::f64});
    lm::llama<double> merged(
        std::make_shared<lm::llama_base<double> const>(lm::model_file(here / "merged")),
        model.pairs.texts);
    auto const found = log_probs(merged, batch);
    for (std::size_t i = 0; i != found.size(); ++i) {
      CHECK(found[i] == Approx(expected[i]).epsilon(1e-11));
    }

    // And beside its base.
    auto const again_made_as = lm::lora_options_of(saved);
    lm::llama<double> again(base, model.pairs.texts, again_made_as);
    lm::copy_adapter({"adapter", name, 0}, saved, again.parameters(), again_made_as);
    again.parameters_moved();
    CHECK(log_probs(again, batch) == expected);
  }
}

TEST_CASE("saved adapters: gradients of maps with ranks and scales of their own are differences",
          "[lm][model]") {
  tiny_model const model("qwen3_norm");
  lm::llama<double> policy(model.base<double>(), model.pairs.texts, test::uneven_adapter());
  auto const parameters = policy.parameters();
  std::uint64_t draw = 0;
  for (auto const& each : parameters) {
    fill_normal(each.value, {.seed = 8, .step = ++draw}, 0, 0.3);
  }
  policy.parameters_moved();
  choice_batch const batch = model.pairs.data.batch();
  std::vector<double> const coefficient(batch.completions(), 1);
  auto const total = [&] {
    double sum = 0;
    for (double const each : log_probs(policy, batch)) sum += each;
    return sum;
  };
  policy.backward(batch, std::span<double const>(coefficient));
  for (auto const& each : parameters) {
    INFO(each.name);
    // Along the gradient of a matrix: (f(x + h g) - f(x - h g)) / 2h = g g + O(h^2).
    std::vector<double> const direction(each.gradient.begin(), each.gradient.end());
    std::vector<double> const start(each.value.begin(), each.value.end());
    double square = 0;
    for (double const g : direction) square += g * g;
    REQUIRE(square > 0);
    double const h = 1e-5 / std::sqrt(square);
    double side[2];
    for (int const sign : {0, 1}) {
      for (std::size_t i = 0; i != start.size(); ++i) {
        each.value[i] = start[i] + (sign == 0 ? h : -h) * direction[i];
      }
      policy.parameters_moved();
      side[sign] = total();
    }
    std::copy(start.begin(), start.end(), each.value.begin());
    CHECK((side[0] - side[1]) / (2 * h) == Approx(square).epsilon(1e-5));
  }
}

TEST_CASE("saved adapters: maps that the model has not, or twice, are refused by name",
          "[lm][model]") {
  auto const config = test::smallest_config();
  lm::lora_options how;
  how.maps = {{"model.layers.7.self_attn.q_proj", 2, 1}};
  CHECK_THROWS_WITH(lm::lora_adapter<double>(config, how),
                    Catch::Contains("'model.layers.7.self_attn.q_proj' is no linear map"));
  how.maps = {{"lm_head", 2, 1}};
  CHECK_THROWS_WITH(lm::lora_adapter<double>(config, how),
                    Catch::Contains("'lm_head' is no linear map"));
  how.maps.assign(2, {"model.layers.1.self_attn.q_proj", 2, 1});
  CHECK_THROWS_WITH(lm::lora_adapter<double>(config, how), Catch::Contains("once"));
}
