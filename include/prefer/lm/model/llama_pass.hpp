// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/weight_products.hpp>
#include <prefer/lm/files/llama_config.hpp>
#include <prefer/lm/layers/attention.hpp>
#include <prefer/lm/layers/attention_backward.hpp>
#include <prefer/lm/layers/embedding.hpp>
#include <prefer/lm/layers/key_value_listener.hpp>
#include <prefer/lm/layers/rms_norm.hpp>
#include <prefer/lm/layers/rope.hpp>
#include <prefer/lm/layers/silu_multiply.hpp>
#include <prefer/lm/model/adapted_map.hpp>
#include <prefer/lm/model/llama_memory.hpp>
#include <prefer/lm/model/llama_weights.hpp>
#include <prefer/lm/model/lora.hpp>
#include <prefer/lm/model/row_layout.hpp>

namespace prefer::inline v0_1::lm {

/// A model as a pass computes it: its tensors, an adapter or none, and gradients where they are wanted.
template <std::floating_point T>
struct llama_view {
  llama_weights<T> const* weights = nullptr;
  lora_adapter<T> const* adapter = nullptr;
  llama_gradients<T> const* gradients = nullptr;
};

/// Gradients of the rows of an embedding that a step's tokens read, kept apart until all of a step are known: where the
/// matrix is the output's too, two sums meet in one place, and their order must not depend on how a batch is cut.
template <std::floating_point T>
class embedding_gradient {
 public:
  embedding_gradient(std::size_t vocabulary, std::size_t width) : width_(width) {
    place_.assign(vocabulary, none);
  }
  void add(std::span<std::uint32_t const> tokens, std::span<T const> d_rows) {
    for (std::size_t r = 0; r != tokens.size(); ++r) {
      std::uint32_t& place = place_[tokens[r]];
      if (place == none) {
        place = static_cast<std::uint32_t>(tokens_.size());
        tokens_.push_back(tokens[r]);
        sum_.resize(tokens_.size() * width_);
      }
      T* const to = sum_.data() + place * width_;
      T const* const from = d_rows.data() + r * width_;
      for (std::size_t i = 0; i != width_; ++i) to[i] += from[i];
    }
  }
  /// Adds the sums to a gradient [vocabulary, width] and forgets them.
  void drain(T* to) {
    for (std::size_t k = 0; k != tokens_.size(); ++k) {
      T* const row = to + tokens_[k] * width_;
      for (std::size_t i = 0; i != width_; ++i) row[i] += sum_[k * width_ + i];
      place_[tokens_[k]] = none;
    }
    tokens_.clear();
    sum_.clear();
  }

 private:
  static constexpr std::uint32_t none = 0xffffffff;

  std::size_t width_;
  std::vector<std::uint32_t> place_;  // [vocabulary]
  std::vector<std::uint32_t> tokens_;
  std::vector<T> sum_;  // [tokens, width]
};

/// The layers of a model of the Llama family over the rows of a batch, forward and backward.
///
///   x     = embedding[token]
///   m     = x + O attention(turn(Q n(x)), turn(K n(x)), V n(x)),   n: rms_norm with a weight of its own
///   x'    = m + D (silu(G n(m)) * (U n(m)))
///   hidden = n(x of the last layer), of the rows that tokens are scored from
///
/// Bits    a row's numbers depend on the rows that it sees and nothing else; gradients are added group by group, so that
///         they do not depend on how groups are put into batches; neither depends on threads
template <std::floating_point T>
class llama_pass {
 public:
  explicit llama_pass(llama_config const& of) : config_(of), rope_(rope_frequencies(of)) {}

  /// hidden() of the layout's scored rows. `keeps` says what `backward` finds; with dropout only where it finds anything.
  void forward(llama_view<T> const& model, row_layout const& layout, arithmetic<T> const& by,
               kept keeps, adapter_dropout const& dropout = {},
               key_value_listener<T> const& listener = {}) {
    keeps_ = keeps;
    dropout_ = dropout;
    dropout_rows_.assign(dropout.rows.begin(), dropout.rows.end());
    dropout_.rows = dropout_rows_;
    std::size_t const rows = layout.rows();
    pass_size size{.rows = rows, .keeps = keeps, .dropout = !dropout.empty()};
    if (model.adapter != nullptr) {
      for (linear_map const map : every_linear_map) {
        size.ranks[static_cast<std::size_t>(map)] = model.adapter->largest_rank(map);
      }
    }
    memory_.lay_out(config_, size);
    std::uint32_t furthest = 0;
    for (std::uint32_t const p : layout.position()) furthest = p > furthest ? p : furthest;
    rope_.extend(furthest + 1);
    working_memory<T>& w = memory_.working();
    gather_rows(model.weights->embedding, layout.token(), memory_.layer(0).x, by.threads);
    for (std::size_t l = 0; l != config_.layers; ++l) {
      bool const last = l + 1 == config_.layers;
      layer_to_middle(model, layout, by, l, listener);
      layer_to_hidden(by, l);
      std::span<T> const next = last ? w.last : memory_.layer(l + 1).x;
      copy(memory_.layer(l).middle, next);
      apply(map_of(model, l, linear_map::down), by, rows, w.hidden.data(), next.data(), true,
            low_of(l, linear_map::down), dropout_, w.room.data());
    }
    auto const scored = layout.scored_rows();
    last_.resize(scored.size() * config_.width);
    hidden_.resize(last_.size());
    last_scale_.resize(scored.size());
    for (std::size_t i = 0; i != scored.size(); ++i) {
      copy(w.last.subspan(scored[i] * config_.width, config_.width),
           std::span<T>(last_).subspan(i * config_.width, config_.width));
    }
    rms_norm<T>(last_, model.weights->norm, config_.norm_epsilon, hidden_, last_scale_, by.threads);
  }
  /// Of the scored rows of the last forward pass [scored rows, width], with the last norm.
  [[nodiscard]] std::span<T const> hidden() const { return hidden_; }

  /// From the gradient of hidden() all others, after a forward pass of the same that kept something. Gradients of input
  /// rows go to `of_inputs`, which is null where the embedding is frozen.
  void backward(llama_view<T> const& model, row_layout const& layout, arithmetic<T> const& by,
                std::span<T const> d_hidden, embedding_gradient<T>* of_inputs) {
    expects(keeps_ != kept::nothing, "llama_pass::backward: the forward pass kept nothing");
    std::size_t const width = config_.width;
    working_memory<T>& w = memory_.working();
    auto const scored = layout.scored_rows();
    d_last_.assign(last_.size(), T(0));
    norm_back(last_, model.weights->norm, last_scale_, d_hidden, d_last_,
              model.gradients == nullptr ? std::span<T>() : model.gradients->norm,
              layout.group_scored_rows(), 1, by);
    for (T& each : w.d_x) each = 0;
    for (std::size_t i = 0; i != scored.size(); ++i) {
      copy(std::span<T>(d_last_).subspan(i * width, width),
           w.d_x.subspan(scored[i] * width, width));
    }
    for (std::size_t l = config_.layers; l-- != 0;) {
      if (keeps_ == kept::layer_inputs) layer_to_middle(model, layout, by, l);
      layer_to_hidden(by, l);
      if (keeps_ == kept::layer_inputs) {
        apply_low(map_of(model, l, linear_map::down), by, layout.rows(), w.hidden.data(),
                  low_of(l, linear_map::down), dropout_, w.room.data());
      }
      feed_forward_back(model, layout, by, l);
      attention_back(model, layout, by, l, of_inputs != nullptr);
    }
    if (of_inputs != nullptr) of_inputs->add(layout.token(), w.d_x);
  }

  /// After a forward pass that kept something: what backward is called with from here on are these groups alone.
  void keep_groups(row_layout const& layout, std::span<unsigned char const> keep) {
    memory_.keep(layout.rows(), keeps_, row_layout::ranges(layout.group_rows(), keep));
    auto const scored = row_layout::ranges(layout.group_scored_rows(), keep);
    std::size_t const rows = layout.scored_rows().size();
    for (auto* each : {&last_, &last_scale_}) {
      each->resize(keep_rows(std::span<T>(*each), rows, scored).size());
    }
    if (dropout_.empty()) return;
    std::size_t left = 0;
    for (row_range const& each : row_layout::ranges(layout.group_rows(), keep)) {
      for (std::size_t r = each.begin; r != each.end; ++r) dropout_rows_[left++] = dropout_rows_[r];
    }
    dropout_rows_.resize(left);
    dropout_.rows = dropout_rows_;
  }

  [[nodiscard]] std::size_t bytes() const { return memory_.bytes(); }

 private:
  static void copy(std::span<T const> from, std::span<T> to) {
    std::memcpy(to.data(), from.data(), from.size_bytes());
  }

  [[nodiscard]] adapted_map<T> map_of(llama_view<T> const& model, std::size_t l,
                                      linear_map map) const {
    auto const at = static_cast<std::size_t>(map);
    adapted_map<T> out{.matrix = &model.weights->layers[l].maps[at],
                       .bias = model.weights->layers[l].biases[at],
                       .number = l * linear_maps + at};
    if (model.adapter != nullptr) out.adapter = model.adapter->at(l, map);
    if (model.gradients != nullptr) {
      out.matrix_gradient = model.gradients->layers[l].maps[at];
      out.bias_gradient = model.gradients->layers[l].biases[at];
    }
    return out;
  }
  [[nodiscard]] T* low_of(std::size_t l, linear_map map) {
    return memory_.layer(l).low[static_cast<std::size_t>(map)].data();
  }
  [[nodiscard]] attention_heads heads() const {
    return {.heads = config_.heads,
            .key_value_heads = config_.key_value_heads,
            .head_size = config_.head_size,
            .window = config_.window};
  }

  // From x to what attention adds to it.
  void layer_to_middle(llama_view<T> const& model, row_layout const& layout,
                       arithmetic<T> const& by, std::size_t l,
                       key_value_listener<T> const& listener = {}) {
    llama_layer<T> const& of = model.weights->layers[l];
    layer_memory<T>& m = memory_.layer(l);
    working_memory<T>& w = memory_.working();
    std::size_t const rows = layout.rows();
    rms_norm<T>(m.x, of.input_norm, config_.norm_epsilon, w.normed, m.input_scale, by.threads);
    auto const map = [&](linear_map which, std::span<T> to) {
      apply(map_of(model, l, which), by, rows, w.normed.data(), to.data(), false, low_of(l, which),
            dropout_, w.room.data());
    };
    map(linear_map::query, m.query);
    map(linear_map::key, m.key);
    map(linear_map::value, m.value);
    auto const [query, key] = turned(of, layout, by, m, true);
    listener(l, key, m.value);
    attention<T>(heads(), layout.segments(), query, key, m.value, m.attended, m.log_sum_exp,
                 by.threads);
    copy(m.x, m.middle);
    apply(map_of(model, l, linear_map::output), by, rows, m.attended.data(), m.middle.data(), true,
          low_of(l, linear_map::output), dropout_, w.room.data());
    rms_norm<T>(m.middle, of.feed_forward_norm, config_.norm_epsilon, w.normed, m.middle_scale,
                by.threads);
    map(linear_map::gate, m.gate);
    map(linear_map::up, m.up);
  }
  // silu(gate) * up.
  void layer_to_hidden(arithmetic<T> const& by, std::size_t l) {
    layer_memory<T>& m = memory_.layer(l);
    silu_multiply<T>(m.gate, m.up, memory_.working().hidden, by.threads);
  }

  struct queries_and_keys {
    std::span<T> query;
    std::span<T> key;
  };
  // As attention reads them: of a forward pass in place, unless they are normalised.
  queries_and_keys turned(llama_layer<T> const& of, row_layout const& layout,
                          arithmetic<T> const& by, layer_memory<T>& m, bool forward) {
    working_memory<T>& w = memory_.working();
    queries_and_keys out{m.query, m.key};
    if (config_.query_key_norm) {
      out = {w.query, w.key};
      rms_norm<T>(m.query, of.query_norm, config_.norm_epsilon, out.query, m.query_scale,
                  by.threads);
      rms_norm<T>(m.key, of.key_norm, config_.norm_epsilon, out.key, m.key_scale, by.threads);
    } else if (!forward) {
      return out;
    }
    rope_.rotate(layout.position(), config_.heads, out.query, by.threads);
    rope_.rotate(layout.position(), config_.key_value_heads, out.key, by.threads);
    return out;
  }

  // Gradients of x are added to d_x; those of the weight group by group where they are wanted. `per_row` norms a row.
  void norm_back(std::span<T const> x, std::span<T const> weight, std::span<T const> scale,
                 std::span<T const> d_y, std::span<T> d_x, std::span<T> d_weight,
                 std::span<std::size_t const> group, std::size_t per_row,
                 arithmetic<T> const& by) const {
    std::size_t const width = weight.size();
    auto const part = [&](std::size_t begin, std::size_t count) {
      rms_norm_backward<T>(x.subspan(begin * width, count * width), weight,
                           scale.subspan(begin, count), d_y.subspan(begin * width, count * width),
                           d_x.subspan(begin * width, count * width), d_weight, by.threads);
    };
    if (d_weight.empty()) return part(0, scale.size());
    for (std::size_t g = 0; g + 1 != group.size(); ++g) {
      part(group[g] * per_row, (group[g + 1] - group[g]) * per_row);
    }
  }

  // A map's gradients, and that of what it takes, to d_in.
  void map_back(llama_view<T> const& model, row_layout const& layout, arithmetic<T> const& by,
                std::size_t l, linear_map which, std::span<T const> in, std::span<T const> d_out,
                std::span<T> d_in, bool add) {
    working_memory<T>& w = memory_.working();
    apply_back(map_of(model, l, which), by, layout.group_rows(), in.data(), d_out.data(),
               static_cast<T const*>(low_of(l, which)), d_in.data(), add, w.d_low.data(), dropout_,
               w.room.data());
  }
  [[nodiscard]] typename llama_gradients<T>::layer gradients_of(llama_view<T> const& model,
                                                                std::size_t l) const {
    return model.gradients == nullptr ? typename llama_gradients<T>::layer{}
                                      : model.gradients->layers[l];
  }

  // w.hidden holds silu(gate) * up; w.d_x goes from the layer's output to its middle.
  void feed_forward_back(llama_view<T> const& model, row_layout const& layout,
                         arithmetic<T> const& by, std::size_t l) {
    llama_layer<T> const& of = model.weights->layers[l];
    layer_memory<T>& m = memory_.layer(l);
    working_memory<T>& w = memory_.working();
    auto const to = gradients_of(model, l);
    map_back(model, layout, by, l, linear_map::down, w.hidden, w.d_x, w.hidden, false);
    silu_multiply_backward<T>(m.gate, m.up, w.hidden, m.gate, m.up, by.threads);
    renormalise(m.middle, of.feed_forward_norm, m.middle_scale, by);
    map_back(model, layout, by, l, linear_map::gate, w.normed, m.gate, w.d_normed, false);
    map_back(model, layout, by, l, linear_map::up, w.normed, m.up, w.d_normed, true);
    norm_back(m.middle, of.feed_forward_norm, m.middle_scale, w.d_normed, w.d_x,
              to.feed_forward_norm, layout.group_rows(), 1, by);
  }

  // w.d_x goes from the layer's middle to its input.
  void attention_back(llama_view<T> const& model, row_layout const& layout, arithmetic<T> const& by,
                      std::size_t l, bool input_wanted) {
    llama_layer<T> const& of = model.weights->layers[l];
    layer_memory<T>& m = memory_.layer(l);
    working_memory<T>& w = memory_.working();
    auto const to = gradients_of(model, l);
    map_back(model, layout, by, l, linear_map::output, m.attended, w.d_x, w.d_attended, false);
    auto const [query, key] = turned(of, layout, by, m, false);
    attention_backward<T>(heads(), layout.segments(),
                          {.q = query,
                           .k = key,
                           .v = m.value,
                           .out = m.attended,
                           .log_sum_exp = m.log_sum_exp,
                           .d_out = w.d_attended,
                           .d_q = w.d_query,
                           .d_k = w.d_key,
                           .d_v = w.d_value},
                          by.threads);
    rope_.rotate_back(layout.position(), config_.heads, w.d_query, by.threads);
    rope_.rotate_back(layout.position(), config_.key_value_heads, w.d_key, by.threads);
    if (config_.query_key_norm) {
      head_norm_back(m.query, of.query_norm, m.query_scale, w.d_query, w.query, to.query_norm,
                     layout, config_.heads, by);
      head_norm_back(m.key, of.key_norm, m.key_scale, w.d_key, w.key, to.key_norm, layout,
                     config_.key_value_heads, by);
    }
    renormalise(m.x, of.input_norm, m.input_scale, by);
    // Below the first layer there is nothing to train but the embedding.
    bool const wanted = l != 0 || input_wanted || !to.input_norm.empty();
    std::span<T> const d_normed = wanted ? w.d_normed : std::span<T>();
    map_back(model, layout, by, l, linear_map::query, w.normed, w.d_query, d_normed, false);
    map_back(model, layout, by, l, linear_map::key, w.normed, w.d_key, d_normed, true);
    map_back(model, layout, by, l, linear_map::value, w.normed, w.d_value, d_normed, true);
    if (!wanted) return;
    norm_back(m.x, of.input_norm, m.input_scale, w.d_normed, w.d_x, to.input_norm,
              layout.group_rows(), 1, by);
  }
  // `d` goes from a normalised to what it was before, by way of `room`.
  void head_norm_back(std::span<T const> x, std::span<T const> weight, std::span<T const> scale,
                      std::span<T> d, std::span<T> room, std::span<T> d_weight,
                      row_layout const& layout, std::size_t heads, arithmetic<T> const& by) const {
    for (T& each : room) each = 0;
    norm_back(x, weight, scale, d, room, d_weight, layout.group_rows(), heads, by);
    copy(room, d);
  }
  // The normed input of maps, from what the forward pass kept of it.
  void renormalise(std::span<T const> x, std::span<T const> weight, std::span<T> scale,
                   arithmetic<T> const& by) {
    rms_norm<T>(x, weight, config_.norm_epsilon, memory_.working().normed, scale, by.threads);
  }

  llama_config config_;
  rope<T> rope_;
  llama_memory<T> memory_;
  kept keeps_ = kept::nothing;
  adapter_dropout dropout_;
  std::vector<std::uint64_t> dropout_rows_;
  std::vector<T> last_;        // x of the scored rows [scored rows, width]
  std::vector<T> last_scale_;  // [scored rows]
  std::vector<T> hidden_;
  std::vector<T> d_last_;
};

}  // namespace prefer::inline v0_1::lm
