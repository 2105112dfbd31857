// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/model/choice_ids.hpp>
#include <prefer/model/matrix_product.hpp>
#include <prefer/model/noise_schedule.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/scalar/lane_math.hpp>

namespace prefer {

/// What a denoiser is made of besides its data.
struct denoiser_options {
  std::size_t hidden = 64;   ///< units of each of the two hidden layers
  std::size_t steps = 50;    ///< of the diffusion
  std::size_t draws = 1;     ///< (time, noise) pairs that a score is the mean over
  std::uint64_t seed = 1;    ///< of the initial values and of the noise
  double lowest_rate = 0.1;  ///< of noise_schedule
  double highest_rate = 20;
};

/// A small diffusion model over points as a policy: the completion is the number of a point, the prompt a
/// condition.
///
///   log_prob(c, x_0) = -E,  E = mean over draws and coordinates of (eps - eps_theta(x_t, t, c))^2
///   x_t = signal(t) x_0 + noise(t) eps,  t uniform on 1 ... steps,  eps standard normal
///   eps_theta: two hidden layers with x * sigmoid(x), of x_t, features of t and a vector per condition
///
/// t and eps are drawn once per group of the batch: its completions share them, and so does every other
/// denoiser with the same seed, a frozen copy among them. They are addressed by (seed, batch.draw,
/// batch.row): value and gradient of one batch agree, and another draw gives other noise. With `nll` the
/// trainer minimises E of the chosen completion (denoising score matching), with `diffusion_dpo` it tunes by
/// preferences.
///
/// -E is no log-likelihood: up to weights per t that are taken as constant, and a constant, it is a lower
/// bound of one, here estimated at random t. Numbers of one draw say nothing about another, so do not cache
/// those of a reference (`cached` refuses): use `frozen`.
///
/// Parameters  "input" [D + 8, hidden], "input_bias" [hidden], "condition" [prompts, hidden] if there are
///             several, "hidden" [hidden, hidden], "hidden_bias" [hidden], "output" [hidden, D],
///             "output_bias" [D]; initially normal with variance 1 / inputs, biases, conditions and output 0,
///             which predicts no noise: E is then near 1
/// Units       data of variance near 1 per coordinate
/// Errors      precondition_error for an id out of range, a batch whose shapes disagree or that has no row
///             numbers, a column that is not one number per completion; NaN and infinity flow through
/// Source      Ho et al. 2020, arXiv:2006.11239, algorithms 1 and 2
template <std::floating_point T = float>
class denoiser {
 public:
  using value_type = T;
  static constexpr bool depends_on_draw = true;

  /// `points` is [completions, dimensions].
  denoiser(std::size_t prompts, std::size_t dimensions, std::vector<T> points,
           denoiser_options const& options = {})
      : schedule_(options.steps, options.lowest_rate, options.highest_rate),
        prompts_(prompts),
        dimensions_(dimensions),
        hidden_(options.hidden),
        draws_(options.draws),
        seed_(options.seed),
        inputs_(dimensions + time_features),
        padded_inputs_(padded(inputs_)),
        padded_hidden_(padded(hidden_)),
        padded_dimensions_(padded(dimensions)),
        points_(static_cast<std::vector<T>&&>(points)) {
    expects(prompts > 0, "denoiser: prompts must be greater than zero");
    expects(dimensions > 0, "denoiser: dimensions must be greater than zero");
    expects(hidden_ > 0, "denoiser: hidden must be greater than zero");
    expects(draws_ > 0, "denoiser: draws must be greater than zero");
    if (points_.empty() || points_.size() % dimensions != 0) {
      detail::broken("denoiser: points has " + std::to_string(points_.size()) +
                     " elements, expected a positive multiple of " + std::to_string(dimensions));
    }
    input_ = weights(inputs_, hidden_, 0);
    input_bias_ = weights(1, hidden_);
    if (prompts > 1) condition_ = weights(prompts, hidden_);
    hidden_weight_ = weights(hidden_, hidden_, 1);
    hidden_bias_ = weights(1, hidden_);
    output_ = weights(hidden_, dimensions);
    output_bias_ = weights(1, dimensions);
    list_time_features();
    make_room();
  }

  [[nodiscard]] std::size_t prompts() const { return prompts_; }
  [[nodiscard]] std::size_t completions() const { return points_.size() / dimensions_; }
  [[nodiscard]] std::size_t dimensions() const { return dimensions_; }
  [[nodiscard]] noise_schedule const& schedule() const { return schedule_; }
  [[nodiscard]] std::span<T const> point(std::size_t completion) const {
    return std::span(points_).subspan(completion * dimensions_, dimensions_);
  }
  [[nodiscard]] std::vector<parameter<T>> parameters() {
    std::vector<parameter<T>> out;
    auto const add = [&](char const* name, tensor& of) {
      if (of.size == 0) return;
      out.push_back({.name = name,
                     .value = std::span(of.value).first(of.size),
                     .gradient = std::span(of.gradient)});
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
  void use(executor threads) { threads_ = threads; }

  void log_prob(choice_batch const& batch, std::span<T> out) {
    expects_batch(batch, out.size(), "denoiser::log_prob");
    draw(batch);
    error_.assign(out.size(), 0.0);
    for_each_part(out.size() * draws_, [&](std::size_t first, std::size_t count) {
      threads_.for_each_block(count, block, [&](std::size_t begin, std::size_t end) {
        for (std::size_t s = begin; s != end; ++s) place_sample(batch, first + s, s);
        forward<false>(begin, end);
        for (std::size_t s = begin; s != end; ++s) sample_error_[s] = squared_error(first + s, s);
      });
      for (std::size_t s = 0; s != count; ++s) error_[(first + s) / draws_] += sample_error_[s];
    });
    for (std::size_t i = 0; i != out.size(); ++i) out[i] = static_cast<T>(-error_[i] * mean());
  }

  /// Runs the network again, so that it need not follow log_prob.
  void backward(choice_batch const& batch, std::span<T const> coefficient) {
    expects_batch(batch, coefficient.size(), "denoiser::backward");
    draw(batch);
    detail::transpose(hidden_, hidden_, hidden_weight_.value.data(), hidden_,
                      hidden_transposed_.data(), hidden_);
    detail::transpose(hidden_, dimensions_, output_.value.data(), dimensions_,
                      output_transposed_.data(), hidden_);
    for_each_part(coefficient.size() * draws_, [&](std::size_t first, std::size_t count) {
      threads_.for_each_block(count, block, [&](std::size_t begin, std::size_t end) {
        for (std::size_t s = begin; s != end; ++s) place_sample(batch, first + s, s);
        forward<true>(begin, end);
        for (std::size_t s = begin; s != end; ++s) {
          // d(-E) / d eps_theta = 2 (eps - eps_theta) / (draws * D)
          T const scale = coefficient[(first + s) / draws_] * static_cast<T>(2 * mean());
          T const* const eps = noise_of(first + s);
          T* const out = predicted_.data() + s * padded_dimensions_;
          for (std::size_t d = 0; d != dimensions_; ++d) out[d] = scale * (eps[d] - out[d]);
        }
        pull_back(begin, end);
      });
      add_to_gradients(batch, first, count);
    });
  }

  /// The noise that the network sees in `points` [count, D] at time t, in 1 ... steps; `out` likewise.
  void predict_noise(std::uint32_t prompt, std::size_t t, std::span<T const> points,
                     std::span<T> out) {
    expects_prompt(prompt, "denoiser::predict_noise");
    if (t == 0 || t > schedule_.steps()) {
      detail::broken("denoiser::predict_noise: t is " + std::to_string(t) + ", expected 1 to " +
                     std::to_string(schedule_.steps()));
    }
    expects_size(out.size(), points.size(), "denoiser::predict_noise", "out");
    expects_points(points.size(), "denoiser::predict_noise");
    for_each_part(points.size() / dimensions_, [&](std::size_t first, std::size_t count) {
      threads_.for_each_block(count, block, [&](std::size_t begin, std::size_t end) {
        for (std::size_t s = begin; s != end; ++s) {
          T const* const x = points.data() + (first + s) * dimensions_;
          place(s, prompt, t, [&](std::size_t d) { return x[d]; });
        }
        forward<false>(begin, end);
        for (std::size_t s = begin; s != end; ++s) {
          for (std::size_t d = 0; d != dimensions_; ++d) {
            out[(first + s) * dimensions_ + d] = predicted_[s * padded_dimensions_ + d];
          }
        }
      });
    });
  }

  /// New points from pure noise, step by step (ancestral sampling); `out` is [count, D]. Point n depends on
  /// the seed, on n and on the prompt, not on how many are asked for.
  ///
  /// Before each step calls `watch(t, points, noise)` with all points at time t and their predicted noise.
  template <class Watch>
  void sample(std::uint32_t prompt, std::uint64_t seed, std::span<T> out, Watch&& watch) {
    expects_prompt(prompt, "denoiser::sample");
    expects_points(out.size(), "denoiser::sample");
    std::vector<T> eps(out.size());
    std::size_t const last = schedule_.steps();
    for (T& x : out) x = 0;
    add_noise(seed, last + 1, 1.0, out);
    for (std::size_t t = last; t != 0; --t) {
      predict_noise(prompt, t, out, eps);
      watch(t, std::span<T const>(out), std::span<T const>(eps));
      auto const back = schedule_.back(t);
      // x_0 as predicted is (x_t - noise eps) / signal.
      auto const keep = static_cast<T>(back.xt + back.x0 / schedule_.signal(t));
      auto const remove = static_cast<T>(back.x0 * schedule_.noise(t) / schedule_.signal(t));
      for (std::size_t i = 0; i != out.size(); ++i) out[i] = keep * out[i] - remove * eps[i];
      if (back.deviation > 0) add_noise(seed, t, back.deviation, out);
    }
  }
  void sample(std::uint32_t prompt, std::uint64_t seed, std::span<T> out) {
    sample(prompt, seed, out, [](std::size_t, std::span<T const>, std::span<T const>) {});
  }

 private:
  using pack = lane<T>;
  using numbers = detail::aligned_vector<T>;
  static constexpr std::size_t time_features = 8;
  static constexpr std::size_t block =
      4 * detail::tile_rows;                       // samples that a thread takes at a time
  static constexpr std::size_t part = 32 * block;  // samples with activations in memory
  static constexpr std::size_t depth = 4 * block;  // of them that one product adds up
  static constexpr std::size_t chunk = 64;         // hidden units that pull_back takes at a time
  static constexpr std::size_t weight_rows = 2 * detail::tile_rows;  // of a gradient, for a thread

  struct tensor {
    std::size_t size = 0;
    numbers value;  // and one lane more, because products read whole lanes of the last row
    std::vector<T> gradient;
  };

  static std::size_t padded(std::size_t count) {
    return (count + pack::width - 1) / pack::width * pack::width;
  }
  [[nodiscard]] double mean() const { return 1.0 / static_cast<double>(draws_ * dimensions_); }

  static tensor weights(std::size_t rows, std::size_t columns) {
    std::size_t const size = rows * columns;
    return {size, numbers(size + pack::width), std::vector<T>(size)};
  }
  tensor weights(std::size_t rows, std::size_t columns, std::uint64_t which) const {
    tensor out = weights(rows, columns);
    fill_normal(std::span(out.value).first(out.size),
                {.seed = seed_, .purpose = random_purpose::initial_values, .step = which}, 0.0,
                1 / std::sqrt(static_cast<double>(rows)));
    return out;
  }

  // Levels of signal and noise, and waves along the time of one half to four periods.
  void list_time_features() {
    constexpr double pi = 3.14159265358979323846;
    for (std::size_t t = 0; t <= schedule_.steps(); ++t) {
      double const u = static_cast<double>(t) / static_cast<double>(schedule_.steps());
      double const of[time_features] = {
          schedule_.signal(t),  schedule_.noise(t),   std::sin(pi * u),     std::cos(pi * u),
          std::sin(2 * pi * u), std::cos(2 * pi * u), std::sin(4 * pi * u), std::cos(4 * pi * u)};
      for (double const each : of) time_feature_.push_back(static_cast<T>(each));
    }
  }

  void make_room() {
    std::size_t const samples = part;
    in_.resize(samples * padded_inputs_);
    for (auto* each : {&first_, &first_slope_, &second_, &second_slope_}) {
      each->resize(samples * padded_hidden_ + pack::width);
    }
    predicted_.resize(samples * padded_dimensions_ + pack::width);
    hidden_transposed_.resize(hidden_ * hidden_ + pack::width);
    output_transposed_.resize(dimensions_ * hidden_ + pack::width);
    zeros_.resize(chunk);
    sample_error_.resize(samples);
  }

  void expects_batch(choice_batch const& batch, std::size_t values, char const* where) const {
    detail::expects_choices(batch, values, prompts_, completions(), where);
    if (batch.row.size() != batch.size()) {
      detail::broken(std::string(where) + ": the batch has " + std::to_string(batch.row.size()) +
                     " row numbers, which address its noise, for " + std::to_string(batch.size()) +
                     " groups");
    }
  }
  void expects_prompt(std::size_t prompt, char const* where) const {
    if (prompt < prompts_) return;
    detail::broken(std::string(where) + ": prompt is " + std::to_string(prompt) +
                   ", expected less than " + std::to_string(prompts_));
  }
  void expects_points(std::size_t size, char const* where) const {
    if (size % dimensions_ == 0) return;
    detail::broken(std::string(where) + ": the points have " + std::to_string(size) +
                   " coordinates, expected a multiple of " + std::to_string(dimensions_));
  }

  // -- noise

  // Times and noise of every group, [groups, draws] and [groups, draws, D]; each completion's group.
  void draw(choice_batch const& batch) {
    group_of_.clear();
    for (std::size_t g = 0; g != batch.size(); ++g) {
      for (std::size_t i = batch.offset[g]; i != batch.offset[g + 1]; ++i) group_of_.push_back(g);
    }
    time_.resize(batch.size() * draws_);
    noise_.resize(batch.size() * draws_ * dimensions_);
    threads_.for_each_block(batch.size(), 64, [&](std::size_t begin, std::size_t end) {
      for (std::size_t g = begin; g != end; ++g) {
        random_stream from({.seed = seed_,
                            .purpose = random_purpose::noise,
                            .step = batch.draw,
                            .index = batch.row[g]});
        for (std::size_t k = g * draws_; k != (g + 1) * draws_; ++k) {
          time_[k] = 1 + static_cast<std::size_t>(below(from, schedule_.steps()));
          for (std::size_t d = 0; d != dimensions_; ++d) {
            noise_[k * dimensions_ + d] = static_cast<T>(normal(from));
          }
        }
      }
    });
  }
  // Sample s is draw s % draws of completion s / draws.
  [[nodiscard]] std::size_t drawn(std::size_t s) const {
    return group_of_[s / draws_] * draws_ + s % draws_;
  }
  [[nodiscard]] T const* noise_of(std::size_t s) const {
    return noise_.data() + drawn(s) * dimensions_;
  }

  void add_noise(std::uint64_t seed, std::size_t step, double deviation, std::span<T> to) const {
    threads_.for_each_block(to.size() / dimensions_, 64, [&](std::size_t begin, std::size_t end) {
      for (std::size_t n = begin; n != end; ++n) {
        random_stream from(
            {.seed = seed, .purpose = random_purpose::completion, .step = step, .index = n});
        for (std::size_t d = 0; d != dimensions_; ++d) {
          to[n * dimensions_ + d] += static_cast<T>(deviation * normal(from));
        }
      }
    });
  }

  // -- the network, on samples [begin, end) of a part

  template <class Work>
  void for_each_part(std::size_t samples, Work&& work) {
    for (std::size_t first = 0; first < samples; first += part) {
      work(first, detail::at_most(part, samples - first));
    }
  }

  void place(std::size_t s, std::size_t prompt, std::size_t t, auto const& coordinate) {
    T* const in = in_.data() + s * padded_inputs_;
    for (std::size_t d = 0; d != dimensions_; ++d) in[d] = coordinate(d);
    T const* const feature = time_feature_.data() + t * time_features;
    for (std::size_t f = 0; f != time_features; ++f) in[dimensions_ + f] = feature[f];
    T* const first = first_.data() + s * padded_hidden_;
    for (std::size_t h = 0; h != hidden_; ++h) first[h] = input_bias_.value[h];
    if (condition_.size == 0) return;
    for (std::size_t h = 0; h != hidden_; ++h) first[h] += condition_.value[prompt * hidden_ + h];
  }

  // Sample s of the batch as sample `to` of the part.
  void place_sample(choice_batch const& batch, std::size_t s, std::size_t to) {
    std::size_t const t = time_[drawn(s)];
    auto const signal = static_cast<T>(schedule_.signal(t));
    auto const level = static_cast<T>(schedule_.noise(t));
    T const* const x = points_.data() + batch.completion[s / draws_] * dimensions_;
    T const* const eps = noise_of(s);
    place(to, batch.prompt[group_of_[s / draws_]], t,
          [&](std::size_t d) { return signal * x[d] + level * eps[d]; });
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
  void forward(std::size_t begin, std::size_t end) {
    multiply(in_, padded_inputs_, inputs_, input_.value, hidden_, {first_.data(), padded_hidden_},
             first_, padded_hidden_, begin, end);
    activate<Slopes>(first_, first_slope_, begin, end);
    multiply(first_, padded_hidden_, hidden_, hidden_weight_.value, hidden_,
             {hidden_bias_.value.data(), 0}, second_, padded_hidden_, begin, end);
    activate<Slopes>(second_, second_slope_, begin, end);
    multiply(second_, padded_hidden_, hidden_, output_.value, dimensions_,
             {output_bias_.value.data(), 0}, predicted_, padded_dimensions_, begin, end);
  }

  // Derivatives by the inputs of the hidden units, in place of their slopes.
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
    layer(predicted_, padded_dimensions_, dimensions_, output_transposed_, second_slope_);
    layer(second_slope_, padded_hidden_, hidden_, hidden_transposed_, first_slope_);
  }

  [[nodiscard]] double squared_error(std::size_t s, std::size_t at) const {
    T const* const eps = noise_of(s);
    T const* const out = predicted_.data() + at * padded_dimensions_;
    double sum = 0;
    for (std::size_t d = 0; d != dimensions_; ++d) {
      auto const error = static_cast<double>(eps[d]) - static_cast<double>(out[d]);
      sum += error * error;
    }
    return sum;
  }

  // -- gradients: every element adds up its samples in their order, whichever thread it is on

  void add_to_gradients(choice_batch const& batch, std::size_t first, std::size_t count) {
    std::size_t const blocks = (hidden_ + weight_rows - 1) / weight_rows;
    threads_.for_each_chunk(blocks + 2, [&](std::size_t task) {
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
          std::size_t const prompt = batch.prompt[group_of_[(first + s) / draws_]];
          detail::add_scaled(condition_.gradient.data() + prompt * hidden_, T(1),
                             first_slope_.data() + s * padded_hidden_, hidden_);
        }
      } else {
        add_rows(second_slope_, padded_hidden_, hidden_, hidden_bias_, count);
        add_outer(second_, padded_hidden_, 0, hidden_, predicted_, padded_dimensions_, dimensions_,
                  output_, count);
        add_rows(predicted_, padded_dimensions_, dimensions_, output_bias_, count);
      }
    });
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

  noise_schedule schedule_;
  std::size_t prompts_;
  std::size_t dimensions_;
  std::size_t hidden_;
  std::size_t draws_;
  std::uint64_t seed_;
  std::size_t inputs_;  // coordinates and time features
  std::size_t padded_inputs_;
  std::size_t padded_hidden_;  // to whole lanes, as the other two
  std::size_t padded_dimensions_;
  std::vector<T> points_;        // [completions, D]
  std::vector<T> time_feature_;  // [steps + 1, 8]

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

  std::vector<std::size_t> group_of_;  // [completions of the batch]
  std::vector<std::size_t> time_;      // [groups, draws]
  std::vector<T> noise_;               // [groups, draws, D]
  std::vector<double> error_;          // [completions of the batch], sums of squares
  std::vector<double> sample_error_;   // [part]
  numbers in_;                         // [part, padded inputs]
  numbers first_;                      // [part, padded hidden], before and after its activation
  numbers second_;
  numbers first_slope_;  // of the activation, then the derivative by the unit's input
  numbers second_slope_;
  numbers predicted_;  // [part, padded D], then the derivative by it
  executor threads_;
};

}  // namespace prefer
