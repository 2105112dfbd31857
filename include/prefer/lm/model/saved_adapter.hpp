// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <prefer/data/place.hpp>
#include <prefer/expects.hpp>
#include <prefer/lm/files/adapter.hpp>
#include <prefer/lm/files/tensor_names.hpp>
#include <prefer/lm/model/lora.hpp>
#include <prefer/policy/parameter.hpp>

namespace prefer::inline v0_1::lm {

/// How a policy is made that goes on from an adapter on disk: the same maps, with their ranks and scales; by targets where
/// all maps of all layers are alike.
///
///   auto const saved = prefer::lm::read_peft_adapter<float>("tuned/adapter");
///   auto const how = prefer::lm::lora_options_of(saved);
///   prefer::lm::llama<float> policy(base, texts, how);
///   prefer::lm::copy_adapter({"adapter", "tuned/adapter", 0}, saved, policy.parameters(), how);
///   policy.parameters_moved();
template <std::floating_point T>
[[nodiscard]] lora_options lora_options_of(adapter<T> const& saved) {
  lora_options how{.rank = saved.rank,
                   .alpha = saved.alpha,
                   .rank_stabilised = saved.rank_stabilised,
                   .dropout = saved.dropout};
  bool alike = saved.in_every_layer;
  std::set<std::string> targets;
  for (auto const& each : saved.pairs) {
    bool const same_scale =
        std::fabs(each.scale - saved.scale()) <= 1e-9 * std::fabs(saved.scale());
    alike = alike && each.rank == saved.rank && same_scale;
    targets.insert(each.module.substr(each.module.rfind('.') + 1));
  }
  if (alike) {
    how.targets.assign(targets.begin(), targets.end());
    return how;
  }
  for (auto const& each : saved.pairs) how.maps.push_back({each.module, each.rank, each.scale});
  return how;
}

/// A policy's adapter, whose parameters have PEFT's names and shapes: [rank, in] and [out, rank]. `how` is what the policy
/// was made with. With "score.weight" among them, the parameters of a scalar_head, it is a reward model's.
template <std::floating_point T>
[[nodiscard]] adapter<T> adapter_of(std::vector<parameter<T>> const& parameters,
                                    lora_options const& how) {
  std::vector<detail::adapter_matrix<T>> matrices;
  std::vector<T> head;
  for (auto const& each : parameters) {
    if (each.name == detail::name_of_head) {
      head.assign(each.value.begin(), each.value.end());
      continue;
    }
    auto const name = detail::read_peft_name(each.name);
    auto const sizes = each.shape.sizes();
    if (!name || sizes.size() != 2) {
      refuse("adapter_of: parameter " + data::in_quotes(each.name, 80) +
             " is no matrix of a low-rank adapter");
    }
    matrices.push_back({name->module, name->is_a, sizes[0], sizes[1],
                        std::vector<T>(each.value.begin(), each.value.end())});
  }
  adapter<T> result{.rank = how.rank,
                    .alpha = how.alpha,
                    .rank_stabilised = how.rank_stabilised,
                    .dropout = how.dropout,
                    .in_every_layer = how.maps.empty(),
                    .head = std::move(head)};
  result.pairs = detail::pair_up({"adapter_of", "the parameters", 0}, std::move(matrices));
  for (auto& each : result.pairs) each.scale = how.scale_of(each.module);
  return result;
}

/// Sets a policy's parameters to an adapter's numbers. Every parameter is one of the adapter, and the other way around, but that
/// a head stays as it is where the adapter has none; the adapter's scales are those that the policy was made with, `how`.
///
/// Errors  backend_error at `at`: a parameter that the adapter has not, or in another shape; a pair that the policy has not;
///         another scale
template <std::floating_point T, std::floating_point U>
void copy_adapter(data::place const& at, adapter<T> const& from,
                  std::vector<parameter<U>> const& parameters, lora_options const& how) {
  std::set<std::string> taken;
  bool scores = false;
  for (auto const& each : parameters) {
    if (each.name == detail::name_of_head) {
      scores = true;
      if (from.head.empty()) continue;
      if (each.value.size() != from.head.size()) {
        at.refuse("its head takes " + std::to_string(from.head.size()) + " features, expected " +
                  std::to_string(each.value.size()));
      }
      for (std::size_t i = 0; i != from.head.size(); ++i) {
        each.value[i] = static_cast<U>(from.head[i]);
      }
      continue;
    }
    auto const name = detail::read_peft_name(each.name);
    adapter_pair<T> const* found = nullptr;
    for (auto const& pair : from.pairs) {
      if (name && pair.module == name->module) found = &pair;
    }
    if (found == nullptr) {
      at.refuse("the adapter has no tensor " + data::in_quotes(each.name, 100) +
                ", which the policy trains");
    }
    auto const& values = name->is_a ? found->a : found->b;
    auto const sizes = each.shape.sizes();
    std::vector<std::size_t> const shape =
        name->is_a ? std::vector{found->rank, found->in} : std::vector{found->out, found->rank};
    if (!std::equal(sizes.begin(), sizes.end(), shape.begin(), shape.end())) {
      at.refuse("tensor " + data::in_quotes(each.name, 100) + " has the shape " +
                shape_text(shape) + ", expected " +
                shape_text(std::vector<std::size_t>(sizes.begin(), sizes.end())));
    }
    double const scale = how.scale_of(found->module);
    if (std::fabs(found->scale - scale) > 1e-6 * std::fabs(scale)) {
      at.refuse("the adapter of " + data::in_quotes(found->module, 80) + " is multiplied by " +
                std::to_string(found->scale) + ", expected " + std::to_string(scale));
    }
    for (std::size_t i = 0; i != values.size(); ++i) each.value[i] = static_cast<U>(values[i]);
    taken.insert(found->module);
  }
  if (!scores) expect_no_head(at, from);
  for (auto const& pair : from.pairs) {
    if (taken.count(pair.module) != 0) continue;
    at.refuse("the adapter changes " + data::in_quotes(pair.module, 80) +
              ", which the policy does not");
  }
}

}  // namespace prefer::inline v0_1::lm
