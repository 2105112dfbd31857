// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/data/place.hpp>
#include <prefer/expects.hpp>
#include <prefer/lm/files/tensor_entry.hpp>
#include <prefer/lm/files/tensor_names.hpp>
#include <prefer/policy/parameter.hpp>

namespace prefer::inline v0_1::lm {

/// What a low-rank adapter adds to the weight W [out, in] of one linear map:
///
///   W + scale * B A,   A [rank, in], B [out, rank]
///
/// Of the embedding, whose matrix is [vocabulary, width], it is scale * (B A)^T, A [rank, vocabulary], B [width, rank].
template <std::floating_point T>
struct adapter_pair {
  std::string module;  // model.layers.0.self_attn.q_proj: the weight's name without its end
  std::size_t rank = 0;
  std::size_t in = 0;
  std::size_t out = 0;
  double scale = 1;
  std::vector<T> a = {};
  std::vector<T> b = {};

  [[nodiscard]] bool is_embedding() const { return module == "model.embed_tokens"; }
};

/// A low-rank adapter as files hold it.
template <std::floating_point T>
struct adapter {
  std::size_t rank = 0;
  double alpha = 0;
  bool rank_stabilised = false;
  double dropout = 0;
  std::vector<adapter_pair<T>> pairs = {};
  /// Of the model_file that it was trained on, where that is known.
  std::optional<std::uint64_t> base_identity = {};

  /// alpha / rank, or alpha / sqrt(rank)
  [[nodiscard]] double scale() const {
    auto const r = static_cast<double>(rank);
    return alpha / (rank_stabilised ? std::sqrt(r) : r);
  }
};

namespace detail {

inline constexpr std::string_view peft_prefix = "base_model.model.";

/// The end of a PEFT name, and the module before it.
struct peft_name {
  std::string module;
  bool is_a = false;
};
[[nodiscard]] inline std::optional<peft_name> read_peft_name(std::string_view name) {
  if (name.substr(0, peft_prefix.size()) != peft_prefix) return std::nullopt;
  name.remove_prefix(peft_prefix.size());
  for (auto const& [end, is_a] : {std::pair<std::string_view, bool>{".lora_A.weight", true},
                                  {".lora_B.weight", false},
                                  {".lora_embedding_A", true},
                                  {".lora_embedding_B", false}}) {
    if (name.size() > end.size() && name.substr(name.size() - end.size()) == end) {
      return peft_name{std::string(name.substr(0, name.size() - end.size())), is_a};
    }
  }
  return std::nullopt;
}
[[nodiscard]] inline std::string write_peft_name(std::string const& module, bool is_a) {
  bool const embedding = module == "model.embed_tokens";
  return std::string(peft_prefix) + module + (embedding ? ".lora_embedding_" : ".lora_") +
         (is_a ? "A" : "B") + (embedding ? "" : ".weight");
}

/// One matrix of an adapter, on its way into a pair.
template <class T>
struct adapter_matrix {
  std::string module;
  bool is_a = false;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<T> values;
};

/// Pairs of matrices A and B; refuses what has no counterpart, or one of another rank.
template <class T>
[[nodiscard]] std::vector<adapter_pair<T>> pair_up(data::place const& at,
                                                   std::vector<adapter_matrix<T>> matrices) {
  std::vector<adapter_pair<T>> pairs = {};
  for (auto& matrix : matrices) {
    auto pair = pairs.begin();
    while (pair != pairs.end() && pair->module != matrix.module) ++pair;
    if (pair == pairs.end()) {
      pairs.push_back({.module = matrix.module});
      pair = pairs.end() - 1;
    }
    if (matrix.is_a) {
      pair->in = matrix.columns;
      pair->a = std::move(matrix.values);
      if (pair->rank == 0) pair->rank = matrix.rows;
    } else {
      pair->out = matrix.rows;
      pair->b = std::move(matrix.values);
      if (pair->rank == 0) pair->rank = matrix.columns;
    }
  }
  for (auto const& each : pairs) {
    if (each.rank == 0 || each.a.size() != each.rank * each.in ||
        each.b.size() != each.rank * each.out || each.in == 0 || each.out == 0) {
      at.refuse("the adapter of " + data::in_quotes(each.module, 80) +
                " is no pair of A [rank, in] and B [out, rank]");
    }
  }
  if (pairs.empty()) at.refuse("holds no matrices of an adapter");
  return pairs;
}

}  // namespace detail

/// Refuses an adapter that is of another model: maps that this one has not, or has in another shape.
template <std::floating_point T>
void expect_fits(data::place const& at, adapter<T> const& adapter, llama_config config) {
  config.tied_output = false;  // a tied output matrix can be adapted too
  auto const expected = expected_tensors(config);
  for (auto const& pair : adapter.pairs) {
    std::vector<std::size_t> shape = {pair.out, pair.in};
    if (pair.is_embedding()) std::swap(shape[0], shape[1]);
    expected_tensor const* found = nullptr;
    for (auto const& each : expected) {
      if (each.name == pair.module + ".weight" && each.shape.size() == 2) found = &each;
    }
    if (found != nullptr && found->shape == shape) continue;
    at.refuse("it is an adapter of another model: it changes a matrix " +
              data::in_quotes(pair.module + ".weight", 80) + " of shape " + shape_text(shape) +
              ", and the model has " +
              (found == nullptr ? "none of this name" : "one of " + shape_text(found->shape)));
  }
}

/// A policy's adapter, whose parameters have PEFT's names and shapes: [rank, in] and [out, rank].
template <std::floating_point T>
[[nodiscard]] adapter<T> adapter_of(std::vector<parameter<T>> const& parameters, double alpha,
                                    bool rank_stabilised, double dropout = 0) {
  adapter<T> result;
  std::vector<detail::adapter_matrix<T>> matrices;
  for (auto const& each : parameters) {
    auto const name = detail::read_peft_name(each.name);
    auto const sizes = each.shape.sizes();
    if (!name || sizes.size() != 2) {
      refuse("adapter_of: parameter " + data::in_quotes(each.name, 80) +
             " is no matrix of a low-rank adapter");
    }
    matrices.push_back({name->module, name->is_a, sizes[0], sizes[1],
                        std::vector<T>(each.value.begin(), each.value.end())});
  }
  result.pairs = detail::pair_up({"adapter_of", "the parameters", 0}, std::move(matrices));
  result.rank = result.pairs.front().rank;
  result.alpha = alpha;
  result.rank_stabilised = rank_stabilised;
  result.dropout = dropout;
  for (auto& each : result.pairs) each.scale = result.scale();
  return result;
}

/// Sets a policy's parameters to an adapter's numbers. Every parameter is one of the adapter, and the other way around; the
/// adapter's scales are the policy's, `scale`.
///
/// Errors  backend_error at `at`: a parameter that the adapter has not, or in another shape; a pair that the policy has not;
///         another scale
template <std::floating_point T, std::floating_point U>
void copy_adapter(data::place const& at, adapter<T> const& from,
                  std::vector<parameter<U>> const& parameters, double scale) {
  std::set<std::string> taken;
  for (auto const& each : parameters) {
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
    if (std::fabs(found->scale - scale) > 1e-6 * std::fabs(scale)) {
      at.refuse("the adapter of " + data::in_quotes(found->module, 80) + " is multiplied by " +
                std::to_string(found->scale) + ", expected " + std::to_string(scale));
    }
    for (std::size_t i = 0; i != values.size(); ++i) each.value[i] = static_cast<U>(values[i]);
    taken.insert(found->module);
  }
  for (auto const& pair : from.pairs) {
    if (taken.count(pair.module) != 0) continue;
    at.refuse("the adapter changes " + data::in_quotes(pair.module, 80) +
              ", which the policy does not");
  }
}

}  // namespace prefer::inline v0_1::lm
