// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/batch/token_sequences.hpp>
#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/weight_products.hpp>
#include <prefer/lm/layers/embedding.hpp>
#include <prefer/lm/layers/key_value_cache.hpp>
#include <prefer/lm/layers/key_value_listener.hpp>
#include <prefer/lm/layers/rms_norm.hpp>
#include <prefer/lm/layers/rope.hpp>
#include <prefer/lm/layers/silu_multiply.hpp>
#include <prefer/lm/layers/vector_products.hpp>
#include <prefer/lm/model/adapted_map.hpp>
#include <prefer/lm/model/linear_map.hpp>
#include <prefer/lm/model/llama_pass.hpp>
#include <prefer/lm/model/row_layout.hpp>

namespace prefer::inline v0_1::lm {

/// What comes next: a model of the Llama family one token at a time, for one or several sequences, each with the keys and
/// values of what it has read.
///
/// Prompts are read by the forward pass that trains; then each step reads every weight once, for all sequences together,
/// in the form in which it is held.
///
/// Bits    of a sequence's logits do not depend on the other sequences, nor on threads
template <std::floating_point T>
class llama_decoder {
 public:
  explicit llama_decoder(llama_config const& of) : config_(of), rope_(rope_frequencies(of)) {}

  /// Reads prompts, each from its beginning: their keys and values to `caches`, and what could follow each to `logits`
  /// [prompts, vocabulary].
  void read(llama_view<T> const& model, arithmetic<T> const& by, llama_pass<T>& pass,
            token_table const& prompts, std::vector<key_value_cache<T>>& caches,
            std::vector<T>& logits) {
    std::size_t const count = prompts.size();
    // What is asked of a prompt's last row is a completion of one token, whichever.
    token_sequences texts{.prompts = prompts, .completions = {}};
    std::uint32_t const any = 0;
    texts.completions.add({&any, 1});
    choice_data groups;
    for (std::uint32_t p = 0; p != count; ++p) groups.add_labelled(p, 0, true);
    layout_.lay_out(groups.batch(), texts, {config_.vocabulary, config_.context}, 0, count,
                    "llama::sample");
    caches.clear();
    for (std::uint32_t p = 0; p != count; ++p) {
      caches.emplace_back(config_.layers, heads());
      caches.back().make_room(prompts.length(p));
    }
    auto const keep = [&](std::size_t layer, std::span<T const> keys, std::span<T const> values) {
      std::size_t const width = config_.key_value_heads * config_.head_size;
      by.threads.for_each_chunk(count, [&](std::size_t p) {
        std::size_t const first = layout_.group_rows()[p];
        for (std::size_t r = first; r != layout_.group_rows()[p + 1]; ++r) {
          caches[p].write(layer, r - first, keys.data() + r * width, values.data() + r * width);
        }
      });
    };
    pass.forward(model, layout_, by, kept::nothing, {}, key_value_listener<T>(keep));
    for (std::uint32_t p = 0; p != count; ++p) caches[p].grow(prompts.length(p));
    logits.resize(count * config_.vocabulary);
    vector_product<T> const head{
        .matrix = &model.weights->output, .in = pass.hidden().data(), .out = logits.data()};
    multiply_vectors<T>({&head, 1}, count, by.threads);
  }

  /// One more token of each sequence: its keys and values are kept, and logits() is what could follow.
  void step(llama_view<T> const& model, executor threads,
            std::span<key_value_cache<T>* const> sequences, std::span<std::uint32_t const> tokens) {
    std::size_t const count = sequences.size();
    expects_size(tokens.size(), count, "llama_decoder::step", "tokens");
    model_ = &model;
    threads_ = threads;
    count_ = count;
    lay_out();
    position_.clear();
    readers_.assign(sequences.begin(), sequences.end());
    for (key_value_cache<T>* const each : sequences) {
      each->make_room(1);
      position_.push_back(static_cast<std::uint32_t>(each->size()));
      rope_.extend(each->size() + 1);
    }
    gather_rows<T>(model.weights->embedding, tokens, x_, threads);
    for (std::size_t l = 0; l != config_.layers; ++l) {
      attention_of_layer(l, sequences);
      feed_forward_of_layer(l);
    }
    for (key_value_cache<T>* const each : sequences) each->grow(1);
    normalise(x_, model.weights->norm, normed_);
    vector_product<T> const head{
        .matrix = &model.weights->output, .in = normed_.data(), .out = logits_.data()};
    multiply_vectors<T>({&head, 1}, count, threads);
  }
  /// Of the last step [sequences, vocabulary].
  [[nodiscard]] std::span<T const> logits() const { return logits_; }

 private:
  [[nodiscard]] attention_heads heads() const {
    return {.heads = config_.heads,
            .key_value_heads = config_.key_value_heads,
            .head_size = config_.head_size,
            .window = config_.window};
  }

  void lay_out() {
    x_.resize(count_ * config_.width);
    normed_.resize(count_ * config_.width);
    query_.resize(count_ * config_.heads * config_.head_size);
    attended_.resize(query_.size());
    key_.resize(count_ * config_.key_value_heads * config_.head_size);
    value_.resize(key_.size());
    gate_.resize(count_ * config_.feed_forward);
    up_.resize(gate_.size());
    logits_.resize(count_ * config_.vocabulary);
  }

  void normalise(std::span<T const> x, std::span<T const> weight, std::span<T> to) {
    inverse_rms_.resize(x.size() / weight.size());
    rms_norm<T>(x, weight, config_.norm_epsilon, to, inverse_rms_, threads_);
  }

  struct map_of_layer {
    linear_map map;
    T const* in;
    T* out;
  };
  // The maps of a layer that read what is there already, with what an adapter adds to them.
  template <std::size_t N>
  void apply(std::size_t l, std::array<map_of_layer, N> const& maps, bool add) {
    auto const& layer = model_->weights->layers[l];
    std::array<vector_product<T>, N> products;
    std::array<weight_matrix<T>, N> adapters;  // A, where there is one
    std::vector<vector_product<T>> lower;
    T scale = 1;  // one for all maps of an adapter
    for (std::size_t m = 0; m != N; ++m) {
      auto const [map, in, out] = maps[m];
      products[m] = {
          .matrix = &layer.matrix(map), .in = in, .out = out, .add = add, .bias = layer.bias(map)};
      if (model_->adapter == nullptr) continue;
      auto const adapter = model_->adapter->at(l, map);
      if (adapter.empty()) continue;
      low_[m].resize(count_ * adapter.rank);
      adapters[m] = weights_at<T>(adapter.rank, products[m].matrix->columns(), adapter.a);
      lower.push_back({.matrix = &adapters[m], .in = in, .out = low_[m].data()});
      products[m].rank = adapter.rank;
      products[m].up = adapter.b;
      products[m].low = low_[m].data();
      scale = adapter.scale;
    }
    if (!lower.empty()) {
      multiply_vectors<T>(lower, count_, threads_);
      for (std::size_t m = 0; m != N; ++m) {
        if (products[m].rank != 0) detail::scale_by(std::span<T>(low_[m]), scale);
      }
    }
    multiply_vectors<T>(products, count_, threads_);
  }

  void attention_of_layer(std::size_t l, std::span<key_value_cache<T>* const> sequences) {
    auto const& layer = model_->weights->layers[l];
    normalise(x_, layer.input_norm, normed_);
    apply<3>(l,
             {{{linear_map::query, normed_.data(), query_.data()},
               {linear_map::key, normed_.data(), key_.data()},
               {linear_map::value, normed_.data(), value_.data()}}},
             false);
    if (config_.query_key_norm) {
      normalise(query_, layer.query_norm, query_);
      normalise(key_, layer.key_norm, key_);
    }
    std::size_t const of_queries = config_.heads * config_.head_size;
    std::size_t const of_keys = config_.key_value_heads * config_.head_size;
    threads_.for_each_chunk(count_, [&](std::size_t s) {
      auto const at = std::span(position_).subspan(s, 1);
      auto const key = std::span(key_).subspan(s * of_keys, of_keys);
      rope_.rotate(at, config_.heads, std::span(query_).subspan(s * of_queries, of_queries), {});
      rope_.rotate(at, config_.key_value_heads, key, {});
      sequences[s]->write(l, 0, key.data(), value_.data() + s * of_keys);
    });
    attend_to_cache<T>(readers_, l, query_, attended_, threads_);
    apply<1>(l, {{{linear_map::output, attended_.data(), x_.data()}}}, true);
  }

  void feed_forward_of_layer(std::size_t l) {
    normalise(x_, model_->weights->layers[l].feed_forward_norm, normed_);
    apply<2>(l,
             {{{linear_map::gate, normed_.data(), gate_.data()},
               {linear_map::up, normed_.data(), up_.data()}}},
             false);
    silu_multiply<T>(gate_, up_, gate_, threads_);
    apply<1>(l, {{{linear_map::down, gate_.data(), x_.data()}}}, true);
  }

  using aligned = prefer::detail::aligned_vector<T>;

  llama_config config_;
  rope<T> rope_;
  row_layout layout_;

  // Of the step.
  llama_view<T> const* model_ = nullptr;
  executor threads_;
  std::size_t count_ = 0;
  std::vector<std::uint32_t> position_;
  std::vector<key_value_cache<T> const*> readers_;
  aligned x_, normed_;          // [sequences, width]
  aligned query_, attended_;    // [sequences, heads, head_size]
  aligned key_, value_;         // [sequences, key_value_heads, head_size]
  aligned gate_, up_;           // [sequences, feed_forward]
  std::array<aligned, 3> low_;  // [sequences, rank]
  std::vector<T> inverse_rms_;
  std::vector<T> logits_;
};

}  // namespace prefer::inline v0_1::lm
