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
#include <prefer/file/fingerprint.hpp>
#include <prefer/model/choice_ids.hpp>
#include <prefer/model/noise_schedule.hpp>
#include <prefer/model/two_layer_network.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>

namespace prefer::inline v0_1 {

/// What a denoiser is made of besides its data.
struct denoiser_options {
  std::size_t hidden = 64;        ///< units of each of the two hidden layers
  std::size_t steps = 50;         ///< of the diffusion
  std::size_t noise_samples = 1;  ///< (time, noise) pairs that a score is the mean over
  std::uint64_t seed = 1;         ///< of the initial values and of the noise
  double lowest_rate = 0.1;       ///< of noise_schedule
  double highest_rate = 20;
};

/// A small diffusion model over points as a policy: the completion is the number of a point, the prompt a
/// condition.
///
///   log_prob(c, x_0) = -E,  E = mean over noise samples and coordinates of (eps - eps_theta(x_t, t, c))^2
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
        noise_samples_(options.noise_samples),
        seed_(options.seed),
        points_(static_cast<std::vector<T>&&>(points)),
        network_(shape_of(prompts, dimensions, options)),
        sample_error_(part) {
    if (points_.empty() || points_.size() % dimensions != 0) {
      detail::broken("denoiser: points has " + std::to_string(points_.size()) +
                     " elements, expected a positive multiple of " + std::to_string(dimensions));
    }
    list_time_features();
  }

  [[nodiscard]] std::size_t prompts() const { return prompts_; }
  [[nodiscard]] std::size_t completions() const { return points_.size() / dimensions_; }
  [[nodiscard]] std::size_t dimensions() const { return dimensions_; }
  [[nodiscard]] noise_schedule const& schedule() const { return schedule_; }
  [[nodiscard]] std::span<T const> point(std::size_t completion) const {
    return std::span(points_).subspan(completion * dimensions_, dimensions_);
  }
  [[nodiscard]] std::vector<parameter<T>> parameters() { return network_.parameters(); }
  /// Of the points, the noise schedule, and how noise is drawn.
  [[nodiscard]] std::uint64_t identity() const {
    fingerprint out;
    out.add("denoiser").add(dimensions_).add(std::span<T const>(points_));
    out.add(noise_samples_).add(seed_);
    for (std::size_t t = 0; t <= schedule_.steps(); ++t) out.add(schedule_.signal(t));
    return out.value();
  }
  void use(executor threads) { threads_ = threads; }

  void log_prob(choice_batch const& batch, std::span<T> out) {
    expects_batch(batch, out.size(), "denoiser::log_prob");
    draw(batch);
    error_.assign(out.size(), 0.0);
    for_each_part(out.size() * noise_samples_, [&](std::size_t first, std::size_t count) {
      threads_.for_each_block(count, block, [&](std::size_t begin, std::size_t end) {
        for (std::size_t s = begin; s != end; ++s) place_sample(batch, first + s, s);
        network_.forward(begin, end);
        for (std::size_t s = begin; s != end; ++s) sample_error_[s] = squared_error(first + s, s);
      });
      for (std::size_t s = 0; s != count; ++s)
        error_[(first + s) / noise_samples_] += sample_error_[s];
    });
    for (std::size_t i = 0; i != out.size(); ++i) out[i] = static_cast<T>(-error_[i] * mean());
  }

  /// Runs the network again, so that it need not follow log_prob.
  void backward(choice_batch const& batch, std::span<T const> coefficient) {
    expects_batch(batch, coefficient.size(), "denoiser::backward");
    draw(batch);
    network_.transpose_weights();
    for_each_part(coefficient.size() * noise_samples_, [&](std::size_t first, std::size_t count) {
      threads_.for_each_block(count, block, [&](std::size_t begin, std::size_t end) {
        for (std::size_t s = begin; s != end; ++s) place_sample(batch, first + s, s);
        network_.forward_with_slopes(begin, end);
        for (std::size_t s = begin; s != end; ++s) {
          // d(-E) / d eps_theta = 2 (eps - eps_theta) / (noise_samples * D)
          T const scale = coefficient[(first + s) / noise_samples_] * static_cast<T>(2 * mean());
          T const* const eps = noise_of(first + s);
          auto const out = network_.output(s);
          for (std::size_t d = 0; d != dimensions_; ++d) out[d] = scale * (eps[d] - out[d]);
        }
        network_.pull_back(begin, end);
      });
      network_.add_to_gradients(threads_, count, [&](std::size_t s) -> std::size_t {
        return batch.prompt[group_of_[(first + s) / noise_samples_]];
      });
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
        network_.forward(begin, end);
        for (std::size_t s = begin; s != end; ++s) {
          auto const eps = network_.output(s);
          for (std::size_t d = 0; d != dimensions_; ++d)
            out[(first + s) * dimensions_ + d] = eps[d];
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
  static constexpr std::size_t time_features = 8;
  static constexpr std::size_t block = two_layer_network<T>::block;
  static constexpr std::size_t part = two_layer_network<T>::most_rows;

  static network_shape shape_of(std::size_t prompts, std::size_t dimensions,
                                denoiser_options const& options) {
    expects(prompts > 0, "denoiser: prompts must be greater than zero");
    expects(dimensions > 0, "denoiser: dimensions must be greater than zero");
    expects(options.hidden > 0, "denoiser: hidden must be greater than zero");
    expects(options.noise_samples > 0, "denoiser: noise_samples must be greater than zero");
    return {.inputs = dimensions + time_features,
            .hidden = options.hidden,
            .outputs = dimensions,
            .conditions = prompts,
            .seed = options.seed};
  }
  [[nodiscard]] double mean() const {
    return 1.0 / static_cast<double>(noise_samples_ * dimensions_);
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

  // Times and noise of every group, [groups, noise_samples] and [groups, noise_samples, D]; each completion's group.
  void draw(choice_batch const& batch) {
    group_of_.clear();
    for (std::size_t g = 0; g != batch.size(); ++g) {
      for (std::size_t i = batch.offset[g]; i != batch.offset[g + 1]; ++i) group_of_.push_back(g);
    }
    time_.resize(batch.size() * noise_samples_);
    noise_.resize(batch.size() * noise_samples_ * dimensions_);
    threads_.for_each_block(batch.size(), 64, [&](std::size_t begin, std::size_t end) {
      for (std::size_t g = begin; g != end; ++g) {
        random_stream from({.seed = seed_,
                            .purpose = random_purpose::noise,
                            .step = batch.draw,
                            .index = batch.row[g]});
        for (std::size_t k = g * noise_samples_; k != (g + 1) * noise_samples_; ++k) {
          time_[k] = 1 + static_cast<std::size_t>(below(from, schedule_.steps()));
          for (std::size_t d = 0; d != dimensions_; ++d) {
            noise_[k * dimensions_ + d] = static_cast<T>(normal(from));
          }
        }
      }
    });
  }
  // Sample s is noise sample s % noise_samples of completion s / noise_samples.
  [[nodiscard]] std::size_t drawn(std::size_t s) const {
    return group_of_[s / noise_samples_] * noise_samples_ + s % noise_samples_;
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

  // -- samples [first, first + count) of the batch, which the network holds at once

  template <class Work>
  void for_each_part(std::size_t samples, Work&& work) {
    for (std::size_t first = 0; first < samples; first += part) {
      work(first, detail::at_most(part, samples - first));
    }
  }

  void place(std::size_t s, std::size_t prompt, std::size_t t, auto const& coordinate) {
    auto const in = network_.input(s);
    for (std::size_t d = 0; d != dimensions_; ++d) in[d] = coordinate(d);
    T const* const feature = time_feature_.data() + t * time_features;
    for (std::size_t f = 0; f != time_features; ++f) in[dimensions_ + f] = feature[f];
    network_.start(s, prompt);
  }

  // Sample s of the batch as sample `to` of the part.
  void place_sample(choice_batch const& batch, std::size_t s, std::size_t to) {
    std::size_t const t = time_[drawn(s)];
    auto const signal = static_cast<T>(schedule_.signal(t));
    auto const level = static_cast<T>(schedule_.noise(t));
    T const* const x = points_.data() + batch.completion[s / noise_samples_] * dimensions_;
    T const* const eps = noise_of(s);
    place(to, batch.prompt[group_of_[s / noise_samples_]], t,
          [&](std::size_t d) { return signal * x[d] + level * eps[d]; });
  }

  [[nodiscard]] double squared_error(std::size_t s, std::size_t at) const {
    T const* const eps = noise_of(s);
    auto const out = network_.output(at);
    double sum = 0;
    for (std::size_t d = 0; d != dimensions_; ++d) {
      auto const error = static_cast<double>(eps[d]) - static_cast<double>(out[d]);
      sum += error * error;
    }
    return sum;
  }

  noise_schedule schedule_;
  std::size_t prompts_;
  std::size_t dimensions_;
  std::size_t noise_samples_;
  std::uint64_t seed_;
  std::vector<T> points_;        // [completions, D]
  std::vector<T> time_feature_;  // [steps + 1, 8]
  two_layer_network<T> network_;

  std::vector<std::size_t> group_of_;  // [completions of the batch]
  std::vector<std::size_t> time_;      // [groups, noise_samples]
  std::vector<T> noise_;               // [groups, noise_samples, D]
  std::vector<double> error_;          // [completions of the batch], sums of squares
  std::vector<double> sample_error_;   // [part]
  executor threads_;
};

}  // namespace prefer::inline v0_1
