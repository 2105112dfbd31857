// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/data/place.hpp>
#include <prefer/lm/files/tensor_entry.hpp>
#include <prefer/lm/files/tensor_names.hpp>

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

/// A low-rank adapter as files hold it. A pair may have another rank and scale than most. That of a reward model has its head
/// besides: see prefer::scalar_head.
template <std::floating_point T>
struct adapter {
  std::size_t rank = 0;
  double alpha = 0;
  bool rank_stabilised = false;
  double dropout = 0;
  /// Each map that it changes is changed in every layer.
  bool in_every_layer = true;
  std::vector<adapter_pair<T>> pairs = {};
  std::vector<T> head = {};  ///< [width]; empty: it is no reward model's
  /// Of the model_file that it was trained on, where that is known.
  std::optional<std::uint64_t> base_identity = {};
  std::optional<std::uint64_t> base_vectors = {};  ///< the same of its vectors

  /// alpha / rank, or alpha / sqrt(rank): of a pair that has no rank or scale of its own.
  [[nodiscard]] double scale() const { return alpha / divisor(rank); }
  /// What alpha is divided by where the rank is this.
  [[nodiscard]] double divisor(std::size_t of_rank) const {
    auto const r = static_cast<double>(of_rank);
    return rank_stabilised ? std::sqrt(r) : r;
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

/// Refuses an adapter with NaN or an infinity in it, which would make every number of its model so.
template <class T>
void expect_finite_pairs(data::place const& at, std::vector<adapter_pair<T>> const& pairs) {
  for (auto const& pair : pairs) {
    bool finite = std::isfinite(pair.scale);
    for (auto const* const matrix : {&pair.a, &pair.b}) {
      for (T const each : *matrix) finite = finite && std::isfinite(each);
    }
    if (finite) continue;
    at.refuse("the adapter of " + data::in_quotes(pair.module, 80) +
              " has a number that is not finite");
  }
}
template <class T>
void expect_finite_head(data::place const& at, std::vector<T> const& head) {
  for (T const each : head) {
    if (!std::isfinite(each)) at.refuse("its head has a number that is not finite");
  }
}

}  // namespace detail

/// Refuses an adapter with a head, for whoever writes texts: it was trained to score them.
template <std::floating_point T>
void expect_no_head(data::place const& at, adapter<T> const& adapter) {
  if (adapter.head.empty()) return;
  at.refuse(
      "it is a reward model's: it has a head, and gives scores where others write; expected an "
      "adapter without one");
}

/// Refuses an adapter that is of another model: maps that this one has not, or has in another shape.
template <std::floating_point T>
void expect_fits(data::place const& at, adapter<T> const& adapter, llama_config config) {
  if (!adapter.head.empty() && adapter.head.size() != config.width) {
    at.refuse("it is an adapter of another model: its head takes " +
              std::to_string(adapter.head.size()) + " features, and the model has " +
              std::to_string(config.width));
  }
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

}  // namespace prefer::inline v0_1::lm
