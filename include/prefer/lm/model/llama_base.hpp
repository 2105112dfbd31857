// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/data/place.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/lm/files/finite.hpp>
#include <prefer/lm/files/llama_config.hpp>
#include <prefer/lm/files/model_file.hpp>
#include <prefer/lm/files/weight_matrix.hpp>
#include <prefer/lm/model/llama_weights.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

/// The hyper-parameters that numbers depend on.
[[nodiscard]] inline std::uint64_t identity_of(llama_config const& of) {
  fingerprint out;
  for (std::size_t const each : {of.vocabulary, of.width, of.layers, of.heads, of.key_value_heads,
                                 of.head_size, of.feed_forward, of.context, of.window}) {
    out.add(static_cast<std::uint64_t>(each));
  }
  for (double const each : rope_frequencies(of)) out.add(each);
  out.add(of.norm_epsilon);
  for (bool const each : {of.tied_output, of.query_key_value_bias, of.query_key_norm}) {
    out.add(std::uint64_t{each ? 1U : 0U});
  }
  return out.value();
}

}  // namespace detail

/// The weights of a model of the Llama family, which nothing changes: any number of policies and references, each with an
/// adapter of its own or none, hold them together.
///
///   auto const base = prefer::lm::open_base<float>("model.gguf");
///
/// `storage` says what matrices are held as: values of type T, bfloat16, or as the file has them, which is slower and
/// takes less memory. Vectors are always values.
///
/// Errors  precondition_error naming the tensor that has a number that is not finite, or another shape than the
///         configuration says; a model_file has found before what is missing and what is none of this family's
template <std::floating_point T>
class llama_base {
 public:
  explicit llama_base(model_file const& file, weight_storage storage = weight_storage::values,
                      executor threads = {})
      : storage_(storage), identity_of_tensors_(file.identity()) {
    weights_.config = file.config();
    fill([&](std::string const& name) { return file.matrix<T>(name, storage, threads); },
         [&](std::string const& name) { return file.vector<T>(name); }, threads);
  }

  /// Of tensors that somebody else has: `matrix(name)` gives a weight_matrix<T>, `vector(name)` a std::vector<T>, for each
  /// name of describe_tensors. `identity` stands for all of them.
  template <class Matrix, class Vector>
  llama_base(llama_config const& config, std::uint64_t identity, Matrix const& matrix,
             Vector const& vector, executor threads = {})
      : identity_of_tensors_(identity) {
    weights_.config = config;
    fill(matrix, vector, threads);
  }

  llama_base(llama_base const&) = delete;
  llama_base& operator=(llama_base const&) = delete;

  [[nodiscard]] llama_config const& config() const { return weights_.config; }
  [[nodiscard]] llama_weights<T> const& weights() const { return weights_; }
  /// Stands for every number of it, and for how they are held.
  [[nodiscard]] std::uint64_t identity() const {
    return fingerprint()
        .add("llama")
        .add(detail::identity_of(config()))
        .add(identity_of_tensors_)
        .add(static_cast<std::uint64_t>(storage_))
        .value();
  }
  /// Bytes of all matrices, in memory or in a mapped file.
  [[nodiscard]] std::size_t bytes_held() const {
    std::size_t bytes = 0;
    describe_tensors(config(), weights_, [&](std::string const&, auto shape, auto const& tensor) {
      if constexpr (std::same_as<decltype(shape), map_shape>) {
        bytes += tensor.bytes_held();
      } else {
        bytes += shape * sizeof(T);
      }
    });
    return bytes;
  }

 private:
  template <class Matrix, class Vector>
  void fill(Matrix const& matrix, Vector const& vector, executor threads) {
    weights_.layers.resize(config().layers);
    describe_tensors(config(), weights_, [&](std::string const& name, auto shape, auto& tensor) {
      if constexpr (std::same_as<decltype(shape), map_shape>) {
        tensor = matrix(name);
        expects_shape(name, tensor.rows(), tensor.columns(), shape);
        expects_finite(name, tensor, threads);
      } else {
        vectors_.push_back(vector(name));
        expects_shape(name, 1, vectors_.back().size(), {1, shape});
        expects_finite(name, weight_matrix<T>(1, shape, vectors_.back()), threads);
        tensor = vectors_.back();
      }
    });
    if (config().tied_output) weights_.output = weights_.embedding;
  }

  static void expects_shape(std::string const& name, std::size_t rows, std::size_t columns,
                            map_shape const& expected) {
    if (rows == expected.out && columns == expected.in) return;
    refuse("llama_base: tensor '" + name + "' has shape [" + std::to_string(rows) + ", " +
           std::to_string(columns) + "], expected [" + std::to_string(expected.out) + ", " +
           std::to_string(expected.in) + "] by the configuration");
  }

  static void expects_finite(std::string const& name, weight_matrix<T> const& tensor,
                             executor threads) {
    auto const found = what_is_not_finite(tensor, threads);
    if (found) refuse("llama_base: tensor " + data::in_quotes(name, 80) + " " + *found);
  }

  llama_weights<T> weights_;
  std::vector<std::vector<T>> vectors_;  // a vector that moves takes its numbers along
  weight_storage storage_ = weight_storage::values;
  std::uint64_t identity_of_tensors_ = 0;
};

/// The weights of a model, from a file or a folder, for policies and references to hold.
///
/// Errors  as model_file and llama_base
template <std::floating_point T>
[[nodiscard]] std::shared_ptr<llama_base<T> const> open_base(
    std::string const& path, weight_storage storage = weight_storage::values,
    executor threads = {}) {
  return std::make_shared<llama_base<T> const>(model_file(path), storage, threads);
}

}  // namespace prefer::inline v0_1::lm
