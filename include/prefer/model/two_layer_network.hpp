// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/model/matrix_product.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/scalar/lane_math.hpp>

namespace prefer::inline v0_1 {

/// Sizes of a two_layer_network, and the seed of its initial values.
struct network_shape {
  std::size_t inputs = 1;
  std::size_t hidden = 1;  ///< units of each of the two hidden layers
  std::size_t outputs = 1;
  std::size_t conditions =
      1;  ///< vectors of which each row adds one to its first layer; 1: there are none
  std::uint64_t seed = 1;
};

/// A network of two hidden layers over rows, with its derivatives:
///
///   y = output^T a(hidden^T a(input^T x + input_bias + condition_c) + hidden_bias) + output_bias,  a(z) = z * sigmoid(z)
///
/// It works in place, on up to `most_rows` rows at once: fill `input(row)`, call `start(row, c)`, then `forward` on
/// blocks of rows, and read `output(row)`. For gradients call `transpose_weights` once, then `forward_with_slopes`,
/// put the derivatives by y in the place of y, `pull_back` the same blocks, and `add_to_gradients`. Blocks of at most
/// `block` rows that do not overlap may be at work on different threads.
///
/// Parameters  "input" [inputs, hidden], "input_bias" [hidden], "condition" [conditions, hidden] if there are several,
///             "hidden" [hidden, hidden], "hidden_bias" [hidden], "output" [hidden, outputs], "output_bias" [outputs];
///             initially normal with variance 1 / inputs, biases, conditions and output 0
/// Errors      none are checked here; NaN and infinity flow through
template <std::floating_point T>
class two_layer_network {
 public:
  using value_type = T;
  using numbers = detail::aligned_vector<T>;
  static constexpr std::size_t block = 4 * detail::tile_rows;  // rows that a thread takes at a time
  static constexpr std::size_t most_rows = 32 * block;         // with activations in memory

  explicit two_layer_network(network_shape const& shape)
      : inputs_(shape.inputs),
        hidden_(shape.hidden),
        outputs_(shape.outputs),
        seed_(shape.seed),
        padded_inputs_(padded(shape.inputs)),
        padded_hidden_(padded(shape.hidden)),
        padded_outputs_(padded(shape.outputs)),
        input_(weights(inputs_, hidden_, 0)),
        input_bias_(bias(hidden_)),
        hidden_weight_(weights(hidden_, hidden_, 1)),
        hidden_bias_(bias(hidden_)),
        output_(weights(hidden_, outputs_)),
        output_bias_(bias(outputs_)) {
    if (shape.conditions > 1) condition_ = weights(shape.conditions, hidden_);
    in_.resize(most_rows * padded_inputs_);
    for (auto* each : {&first_, &first_slope_, &second_, &second_slope_}) {
      each->resize(most_rows * padded_hidden_ + pack::width);
    }
    out_.resize(most_rows * padded_outputs_ + pack::width);
    hidden_transposed_.resize(hidden_ * hidden_ + pack::width);
    output_transposed_.resize(outputs_ * hidden_ + pack::width);
    zeros_.resize(chunk);
  }

  [[nodiscard]] std::vector<parameter<T>> parameters() {
    std::vector<parameter<T>> out;
    auto const add = [&](char const* name, tensor& of) {
      if (of.size == 0) return;
      out.push_back({.name = name,
                     .value = std::span(of.value).first(of.size),
                     .gradient = std::span(of.gradient),
                     .shape = of.shape,
                     .decayed = !std::string_view(name).ends_with("bias")});
    };
    add("input", input_);
    add("input_bias", input_bias_);
    add("condition", condition_);
    add("hidden", hidden_weight_);
    add("hidden_bias", hidden_bias_);
    add("output", output_);
    add("output_bias", output_bias_);
    return out;
  }

  /// The inputs of a row, to be filled.
  [[nodiscard]] std::span<T> input(std::size_t row) {
    return std::span(in_).subspan(row * padded_inputs_, inputs_);
  }
  /// A row's outputs after `forward`; their derivatives before `pull_back`.
  [[nodiscard]] std::span<T> output(std::size_t row) {
    return std::span(out_).subspan(row * padded_outputs_, outputs_);
  }
  [[nodiscard]] std::span<T const> output(std::size_t row) const {
    return std::span(out_).subspan(row * padded_outputs_, outputs_);
  }

  /// What stands in a row's first layer before its inputs come: biases, and the vector of its condition.
  void start(std::size_t row, std::size_t condition) {
    T* const first = first_.data() + row * padded_hidden_;
    for (std::size_t h = 0; h != hidden_; ++h) first[h] = input_bias_.value[h];
    if (condition_.size == 0) return;
    for (std::size_t h = 0; h != hidden_; ++h) {
      first[h] += condition_.value[condition * hidden_ + h];
    }
  }

  void forward(std::size_t begin, std::size_t end) { run<false>(begin, end); }
  /// Keeps what `pull_back` needs.
  void forward_with_slopes(std::size_t begin, std::size_t end) { run<true>(begin, end); }

  void transpose_weights() {
    detail::transpose(hidden_, hidden_, hidden_weight_.value.data(), hidden_,
                      hidden_transposed_.data(), hidden_);
    detail::transpose(hidden_, outputs_, output_.value.data(), outputs_, output_transposed_.data(),
                      hidden_);
  }

  /// Derivatives by the inputs of the hidden units, in place of their slopes.
  void pull_back(std::size_t begin, std::size_t end) {
    auto const layer = [&](numbers const& from, std::size_t from_stride, std::size_t depth_of,
                           numbers const& transposed, numbers& slope) {
      T pulled[block * chunk] = {};
      for (std::size_t h = 0; h < hidden_; h += chunk) {
        std::size_t const columns = detail::at_most(chunk, hidden_ - h);
        add_product<T>({.rows = end - begin,
                        .columns = columns,
                        .depth = depth_of,
                        .right = transposed.data() + h,
                        .right_stride = hidden_,
                        .from = zeros_.data(),
                        .from_stride = 0,
                        .to = pulled,
                        .to_stride = chunk},
                       [&](std::size_t r) { return from.data() + (begin + r) * from_stride; });
        for (std::size_t s = begin; s != end; ++s) {
          T* const to = slope.data() + s * padded_hidden_ + h;
          for (std::size_t j = 0; j != columns; ++j) to[j] *= pulled[(s - begin) * chunk + j];
        }
      }
    };
    layer(out_, padded_outputs_, outputs_, output_transposed_, second_slope_);
    layer(second_slope_, padded_hidden_, hidden_, hidden_transposed_, first_slope_);
  }

  /// Adds the gradients of rows [0, count) in their order, whichever thread is at work on them; `condition_of(row)` is
  /// what `start` got.
  template <class ConditionOf>
  void add_to_gradients(executor const& threads, std::size_t count,
                        ConditionOf const& condition_of) {
    std::size_t const blocks = (hidden_ + weight_rows - 1) / weight_rows;
    threads.for_each_chunk(blocks + 2, [&](std::size_t task) {
      if (task < blocks) {
        std::size_t const begin = task * weight_rows;
        std::size_t const rows = detail::at_most(weight_rows, hidden_ - begin);
        add_outer(first_, padded_hidden_, begin, rows, second_slope_, padded_hidden_, hidden_,
                  hidden_weight_, count);
      } else if (task == blocks) {
        add_outer(in_, padded_inputs_, 0, inputs_, first_slope_, padded_hidden_, hidden_, input_,
                  count);
        add_rows(first_slope_, padded_hidden_, hidden_, input_bias_, count);
        if (condition_.size == 0) return;
        for (std::size_t s = 0; s != count; ++s) {
          detail::add_scaled(condition_.gradient.data() + condition_of(s) * hidden_, T(1),
                             first_slope_.data() + s * padded_hidden_, hidden_);
        }
      } else {
        add_rows(second_slope_, padded_hidden_, hidden_, hidden_bias_, count);
        add_outer(second_, padded_hidden_, 0, hidden_, out_, padded_outputs_, outputs_, output_,
                  count);
        add_rows(out_, padded_outputs_, outputs_, output_bias_, count);
      }
    });
  }

 private:
  using pack = lane<T>;
  static constexpr std::size_t depth = 4 * block;  // rows that one product adds up
  static constexpr std::size_t chunk = 64;         // hidden units that pull_back takes at a time
  static constexpr std::size_t weight_rows = 2 * detail::tile_rows;  // of a gradient, for a thread

  struct tensor {
    std::size_t size = 0;
    tensor_shape shape;
    numbers value;  // and one lane more, because products read whole lanes of the last row
    std::vector<T> gradient;
  };

  static std::size_t padded(std::size_t count) {
    return (count + pack::width - 1) / pack::width * pack::width;
  }

  static tensor weights(std::size_t rows, std::size_t columns) {
    std::size_t const size = rows * columns;
    return {size, {rows, columns}, numbers(size + pack::width), std::vector<T>(size)};
  }
  static tensor bias(std::size_t size) {
    tensor out = weights(1, size);
    out.shape = {size};
    return out;
  }
  tensor weights(std::size_t rows, std::size_t columns, std::uint64_t which) const {
    tensor out = weights(rows, columns);
    fill_normal(std::span(out.value).first(out.size),
                {.seed = seed_, .purpose = random_purpose::initial_values, .step = which}, 0.0,
                1 / std::sqrt(static_cast<double>(rows)));
    return out;
  }

  // to = from + left * weight for rows [begin, end); a from_stride of 0 is one row for all.
  struct rows_from {
    T const* data;
    std::size_t stride;
  };
  static void multiply(numbers const& left, std::size_t left_stride, std::size_t depth_of,
                       numbers const& weight, std::size_t columns, rows_from from, numbers& to,
                       std::size_t to_stride, std::size_t begin, std::size_t end) {
    add_product<T>({.rows = end - begin,
                    .columns = columns,
                    .depth = depth_of,
                    .right = weight.data(),
                    .right_stride = columns,
                    .from = from.data + begin * from.stride,
                    .from_stride = from.stride,
                    .to = to.data() + begin * to_stride,
                    .to_stride = to_stride},
                   [&](std::size_t r) { return left.data() + (begin + r) * left_stride; });
  }

  // x * sigmoid(x), and its derivative where backward follows.
  template <bool Slopes>
  void activate(numbers& values, numbers& slopes, std::size_t begin, std::size_t end) const {
    for (std::size_t k = begin * padded_hidden_; k != end * padded_hidden_; k += pack::width) {
      pack const x = pack::load(values.data() + k);
      if constexpr (Slopes) {
        auto const gate = sigmoid_with_derivative(x);
        (gate.value + x * gate.derivative).store(slopes.data() + k);
        (x * gate.value).store(values.data() + k);
      } else {
        (x * sigmoid(x)).store(values.data() + k);
      }
    }
  }

  template <bool Slopes>
  void run(std::size_t begin, std::size_t end) {
    multiply(in_, padded_inputs_, inputs_, input_.value, hidden_, {first_.data(), padded_hidden_},
             first_, padded_hidden_, begin, end);
    activate<Slopes>(first_, first_slope_, begin, end);
    multiply(first_, padded_hidden_, hidden_, hidden_weight_.value, hidden_,
             {hidden_bias_.value.data(), 0}, second_, padded_hidden_, begin, end);
    activate<Slopes>(second_, second_slope_, begin, end);
    multiply(second_, padded_hidden_, hidden_, output_.value, outputs_,
             {output_bias_.value.data(), 0}, out_, padded_outputs_, begin, end);
  }

  // gradient[begin + m, n] += sum over samples of left[s, begin + m] * right[s, n]
  static void add_outer(numbers const& left, std::size_t left_stride, std::size_t begin,
                        std::size_t rows, numbers const& right, std::size_t right_stride,
                        std::size_t columns, tensor& to, std::size_t count) {
    T* const gradient = to.gradient.data() + begin * columns;
    for (std::size_t k = 0; k < count; k += depth) {
      add_product<T>({.rows = rows,
                      .columns = columns,
                      .depth = detail::at_most(depth, count - k),
                      .step = left_stride,
                      .right = right.data() + k * right_stride,
                      .right_stride = right_stride,
                      .from = gradient,
                      .from_stride = columns,
                      .to = gradient,
                      .to_stride = columns},
                     [&](std::size_t m) { return left.data() + k * left_stride + begin + m; });
    }
  }
  static void add_rows(numbers const& from, std::size_t stride, std::size_t columns, tensor& to,
                       std::size_t count) {
    for (std::size_t s = 0; s != count; ++s) {
      detail::add_scaled(to.gradient.data(), T(1), from.data() + s * stride, columns);
    }
  }

  std::size_t inputs_;
  std::size_t hidden_;
  std::size_t outputs_;
  std::uint64_t seed_;
  std::size_t padded_inputs_;  // to whole lanes, as the other two
  std::size_t padded_hidden_;
  std::size_t padded_outputs_;

  tensor input_;
  tensor input_bias_;
  tensor condition_;
  tensor hidden_weight_;
  tensor hidden_bias_;
  tensor output_;
  tensor output_bias_;
  numbers hidden_transposed_;
  numbers output_transposed_;
  numbers zeros_;

  numbers in_;     // [most_rows, padded inputs]
  numbers first_;  // [most_rows, padded hidden], before and after its activation
  numbers second_;
  numbers first_slope_;  // of the activation, then the derivative by the unit's input
  numbers second_slope_;
  numbers out_;  // [most_rows, padded outputs], then the derivative by it
};

}  // namespace prefer::inline v0_1
