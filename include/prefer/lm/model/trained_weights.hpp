// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/lm/files/weight_matrix.hpp>
#include <prefer/lm/model/llama_weights.hpp>
#include <prefer/lm/model/zeroed_memory.hpp>
#include <prefer/policy/parameter.hpp>

namespace prefer::inline v0_1::lm {

/// All weights of a model as parameters: what full fine-tuning trains. A copy has numbers of its own, and gradients of 0.
///
/// Tensors have Hugging Face's names; matrices decay, norms and biases do not. A tied output matrix is the embedding, and
/// one parameter.
template <std::floating_point T>
class trained_weights {
 public:
  /// Begins at these weights, in whatever form they are held.
  explicit trained_weights(llama_weights<T> const& start) {
    auto tensors = std::make_shared<std::vector<tensor>>();
    std::size_t count = 0;
    describe_tensors(start.config, start, [&](std::string const& name, auto shape, auto const&) {
      bool constexpr matrix = std::same_as<decltype(shape), map_shape>;
      tensor_shape sizes;
      if constexpr (matrix) {
        sizes = {shape.out, shape.in};
      } else {
        sizes = {shape};
      }
      tensors->push_back({name, count, sizes, matrix});
      count += sizes.elements();
    });
    tensors_ = std::move(tensors);
    value_.resize(count);
    gradient_ = zeroed_memory<T>(count);
    std::size_t t = 0;
    describe_tensors(start.config, start, [&](std::string const&, auto shape, auto const& from) {
      T* const to = value_.data() + (*tensors_)[t++].begin;
      if constexpr (std::same_as<decltype(shape), map_shape>) {
        from.read_rows(0, shape.out, to, shape.in);
      } else {
        for (std::size_t i = 0; i != shape; ++i) to[i] = from[i];
      }
    });
    bind(start.config);
  }
  trained_weights(trained_weights const& other)
      : tensors_(other.tensors_), value_(other.value_), gradient_(value_.size()) {
    bind(other.weights_.config);
  }
  trained_weights(trained_weights&&) noexcept = default;  // what a vector holds stays where it is
  trained_weights& operator=(trained_weights other) noexcept {
    tensors_ = std::move(other.tensors_);
    value_ = std::move(other.value_);
    gradient_ = std::move(other.gradient_);
    weights_ = std::move(other.weights_);
    gradients_ = std::move(other.gradients_);
    return *this;
  }
  ~trained_weights() = default;

  [[nodiscard]] llama_weights<T> const& weights() const { return weights_; }
  [[nodiscard]] llama_gradients<T> const& gradients() const { return gradients_; }

  [[nodiscard]] std::vector<parameter<T>> parameters() {
    std::vector<parameter<T>> out;
    for (tensor const& each : *tensors_) {
      std::size_t const size = each.shape.elements();
      out.push_back({.name = each.name,
                     .value = std::span<T>(value_).subspan(each.begin, size),
                     .gradient = gradient_.all().subspan(each.begin, size),
                     .shape = each.shape,
                     .decayed = each.matrix});
    }
    return out;
  }

 private:
  struct tensor {
    std::string name;
    std::size_t begin;
    tensor_shape shape;
    bool matrix;
  };

  // Views of the numbers, in the places where a pass looks for them.
  void bind(llama_config const& config) {
    weights_.config = config;
    weights_.layers.resize(config.layers);
    gradients_.layers.resize(config.layers);
    std::size_t t = 0;
    describe_tensors(config, weights_, [&](std::string const&, auto shape, auto& to) {
      T const* const from = value_.data() + (*tensors_)[t++].begin;
      if constexpr (std::same_as<decltype(shape), map_shape>) {
        to = weight_matrix<T>(type_of_values<T>, shape.out, shape.in,
                              std::as_bytes(std::span(from, shape.out * shape.in)), nullptr);
      } else {
        to = {from, shape};
      }
    });
    t = 0;
    describe_tensors(config, gradients_, [&](std::string const&, auto shape, auto& to) {
      T* const from = gradient_.data() + (*tensors_)[t++].begin;
      if constexpr (std::same_as<decltype(shape), map_shape>) {
        to = from;
      } else {
        to = {from, shape};
      }
    });
    if (!config.tied_output) return;
    weights_.output = weights_.embedding;
    gradients_.output = gradients_.embedding;
  }

  std::shared_ptr<std::vector<tensor> const> tensors_;  // copies have the same names
  std::vector<T> value_;
  zeroed_memory<T> gradient_;
  llama_weights<T> weights_;
  llama_gradients<T> gradients_;
};

}  // namespace prefer::inline v0_1::lm
