// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include <prefer/batch/columns.hpp>
#include <prefer/lm/files/safetensors.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/objective/evaluate.hpp>

#include "tiny_models.hpp"

// Six models, one per form of the family, against numbers that a plain forward pass in double and autograd gave
// (tests/golden/lm_tiny): every token's log-probability, the loss of DPO, the gradient of every tensor; and all of it
// again with an adapter.

using namespace prefer;
using test::tiny_model;

namespace {

// As its README says: in double to 1e-9, in float to 2e-4.
template <class T>
struct agreement {
  static constexpr double tolerance = std::is_same_v<T, double> ? 1e-9 : 2e-4;

  void operator()(double ours, double theirs, std::string const& what) {
    double const off = std::abs(ours - theirs) / std::max(1.0, std::abs(theirs));
    if (!(off <= worst)) {
      worst = off;
      where = what;
    }
  }
  double worst = 0;
  std::string where;
};

double number(nlohmann::json const& of) { return of.get<double>(); }

// Of the rows' log-probabilities, the loss that the file has, and its gradient at the policy.
template <class T>
void compare(lm::llama<T>& policy, tiny_model const& model, nlohmann::json const& log_probs,
             nlohmann::json const& expected) {
  agreement<T> agree;
  choice_batch const batch = model.pairs.data.batch();
  std::vector<std::size_t> offset;
  policy.token_offsets(batch, offset);
  std::vector<T> token(offset.back());
  std::vector<T> sum(batch.completions());
  policy.evaluate(batch, {.log_prob = sum, .token_log_prob = token});
  for (std::size_t i = 0; i != batch.completions(); ++i) {
    auto const& theirs = log_probs.at(i / 2).at(i % 2 == 0 ? "chosen" : "rejected");
    REQUIRE(theirs.size() == offset[i + 1] - offset[i]);
    for (std::size_t t = 0; t != theirs.size(); ++t) {
      agree(static_cast<double>(token[offset[i] + t]), theirs.at(t).get<double>(), "log_prob");
    }
  }

  std::vector<double> chosen, rejected, chosen_reference, rejected_reference;
  for (std::size_t g = 0; g != batch.size(); ++g) {
    chosen.push_back(static_cast<double>(sum[2 * g]));
    rejected.push_back(static_cast<double>(sum[2 * g + 1]));
    chosen_reference.push_back(model.golden.at("reference").at(g).at("chosen").get<double>());
    rejected_reference.push_back(model.golden.at("reference").at(g).at("rejected").get<double>());
  }
  std::vector<double> value(batch.size()), of_chosen(batch.size()), of_rejected(batch.size());
  evaluate_into(
      dpo{.beta = model.golden.at("beta").get<double>()},
      pair_columns{.policy = {.chosen = chosen, .rejected = rejected},
                   .reference = {.chosen = chosen_reference, .rejected = rejected_reference}},
      {.value = value, .chosen = of_chosen, .rejected = of_rejected}, {},
      {.reduce = reduction::none});
  double loss = 0;
  std::vector<T> coefficient;
  for (std::size_t g = 0; g != batch.size(); ++g) {
    double const mean = 1 / static_cast<double>(batch.size());
    loss += value[g] * mean;
    coefficient.push_back(static_cast<T>(of_chosen[g] * mean));
    coefficient.push_back(static_cast<T>(of_rejected[g] * mean));
  }
  agree(loss, expected.at("loss").get<double>(), "loss");

  policy.backward(batch, coefficient);
  policy.finish_backward();
  std::map<std::string, parameter<T>> ours;
  for (auto const& each : policy.parameters()) {
    // PEFT's files put this before every name.
    std::string const name(each.name);
    std::string const wrapper = "base_model.model.";
    ours[name.starts_with(wrapper) ? name.substr(wrapper.size()) : name] = each;
  }
  auto const& theirs = expected.at("gradients");
  REQUIRE(ours.size() == theirs.size());
  for (auto const& [name, gradient] : theirs.items()) {
    INFO(name);
    REQUIRE(ours.count(name) == 1);
    auto const& of = ours.at(name).gradient;
    double squares = 0;
    for (T const each : of) squares += static_cast<double>(each) * static_cast<double>(each);
    agree(std::sqrt(squares), number(gradient.at("norm")), "norm of " + name);
    for (auto const& sample : gradient.at("samples")) {
      agree(static_cast<double>(of[static_cast<std::size_t>(number(sample.at(0)))]),
            number(sample.at(1)), name);
    }
  }
  INFO("farthest: " << agree.where);
  CHECK(agree.worst <= agree.tolerance);
}

template <class T>
void compare_all() {
  for (char const* const name : test::tiny_models) {
    tiny_model const model(name);
    auto const base = model.base<T>();
    INFO(name);
    {
      INFO("all weights train");
      lm::llama<T> policy(*base, model.pairs.texts, lm::full_fine_tuning{});
      auto log_probs = nlohmann::json::array();
      for (auto const& row : model.golden.at("rows")) {
        log_probs.push_back(
            {{"chosen", row.at("log_probs_chosen")}, {"rejected", row.at("log_probs_rejected")}});
      }
      compare(policy, model, log_probs, model.golden.at("full"));
    }
    {
      INFO("an adapter trains");
      lm::llama<T> policy(base, model.pairs.texts, lm::lora_options{.rank = 4, .alpha = 6});
      lm::safetensors_file const file(model.folder + "/adapter/adapter_model.safetensors");
      for (auto const& each : policy.parameters()) {
        auto const* const entry = file.find(std::string(each.name));
        REQUIRE(entry != nullptr);
        lm::dequantise<T>(entry->type, file.bytes(*entry), each.value);
      }
      policy.parameters_moved();
      auto const& adapter = model.golden.at("adapter");
      compare(policy, model, adapter.at("log_probs"), adapter);
    }
  }
}

}  // namespace

TEST_CASE("llama: six forms of the family agree with another implementation in double",
          "[lm][llama][golden]") {
  compare_all<double>();
}

TEST_CASE("llama: six forms of the family agree with another implementation in float",
          "[lm][llama][golden]") {
  compare_all<float>();
}
