// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <prefer/batch/token_table.hpp>
#include <prefer/bounded.hpp>
#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>

namespace prefer::inline v0_1 {

/// How a policy writes completions. As it is, tokens are drawn from the policy's own distribution.
///
/// First the temperature, then top_k, then top_p, each on what the one before leaves.
struct sampling_options {
  std::size_t max_tokens = 64;                   ///< of a completion
  std::optional<std::uint32_t> stop_token = {};  ///< ends a completion, and is its last token
  positive temperature = 1.0;                    ///< probabilities to the power 1 / temperature
  std::size_t top_k = 0;  ///< the k most likely tokens; 0: all; 1: the most likely
  share top_p = 1.0;      ///< the most likely tokens that have this share together
};

namespace detail {

template <class P>
concept writes_completions =
    requires(P& policy, std::span<std::uint32_t const> prompts, sampling_options const& how,
             random_address const& from, token_table& into,
             std::span<std::uint32_t> ids) { policy.sample(prompts, how, from, into, ids); };

}  // namespace detail

/// A policy that writes completions.
///
/// Asked for   `sample(prompts, how, from, into, ids)`: a completion for each prompt, added to the table `into`, its
///             number in `ids`
/// Semantics   completion i is drawn at the address `from` with `index` increased by i, and depends on nothing but this
///             address, its prompt, `how` and the parameters: the same bits for any batch that it is part of, and for any
///             number of threads. With the options as they are, a completion y has the probability exp(log_prob(y)),
///             among those of max_tokens and those that end with the stop token before
/// Errors      precondition_error where ids are not as many as prompts, and for max_tokens of 0
template <class P>
concept SamplingPolicy = detail::writes_completions<P>;

/// Draws tokens one by one as sampling_options say, from log-probabilities over a vocabulary.
///
/// Of equal probabilities the lower token counts as the more likely. What has probability 0 is never drawn.
/// NaN among the log-probabilities gives a token that means nothing; parameters are checked where they are trained.
template <class = on_demand>
class basic_token_sampler {
 public:
  /// Errors  precondition_error for a temperature or a top_p out of range
  explicit basic_token_sampler(sampling_options const& how) : how_(how) {
    expects_in_range(how.temperature, "token_sampler", "temperature");
    expects_in_range(how.top_p, "token_sampler", "top_p");
  }

  template <std::floating_point T>
  [[nodiscard]] std::uint32_t operator()(std::span<T const> log_prob, random_stream& numbers) {
    expects(!log_prob.empty(), "token_sampler: the vocabulary is empty");
    double most = -std::numeric_limits<double>::infinity();
    for (T const each : log_prob) most = static_cast<double>(each) > most ? each : most;
    weight_.clear();
    double total = 0.0;
    for (T const each : log_prob) {
      weight_.push_back(std::exp((static_cast<double>(each) - most) / how_.temperature));
      total += weight_.back();
    }
    bool const all = (how_.top_k == 0 || how_.top_k >= weight_.size()) && how_.top_p == 1.0;
    if (!all) total = keep_most_likely(total);
    // Rounding may leave a little at the end; the last token that can be drawn gets it.
    double left = uniform01(numbers) * total;
    std::uint32_t drawn = 0;
    for (std::size_t v = 0; v != weight_.size(); ++v) {
      if (!(weight_[v] > 0.0)) continue;
      drawn = static_cast<std::uint32_t>(v);
      left -= weight_[v];
      if (left < 0.0) break;
    }
    return drawn;
  }

 private:
  [[nodiscard]] bool more_likely(std::uint32_t a, std::uint32_t b) const {
    return weight_[a] > weight_[b] || (weight_[a] == weight_[b] && a < b);
  }

  // Sets the weights of all others to 0 and returns the sum of the rest. A heap gives the most likely tokens one by one,
  // so what is not kept is not sorted.
  double keep_most_likely(double total) {
    heap_.resize(weight_.size());
    for (std::size_t v = 0; v != heap_.size(); ++v) heap_[v] = static_cast<std::uint32_t>(v);
    for (std::size_t parent = heap_.size() / 2; parent-- != 0;) sift_down(parent);
    std::size_t const most_tokens = how_.top_k == 0 ? heap_.size() : how_.top_k;
    if (how_.top_p < 1.0 && most_tokens < heap_.size()) total = sum_of_most_likely(most_tokens);
    kept_.clear();
    kept_weight_.clear();
    double sum = 0.0;
    while (!heap_.empty() && kept_.size() != most_tokens &&
           (kept_.empty() || sum < how_.top_p * total)) {
      kept_.push_back(heap_.front());
      kept_weight_.push_back(weight_[heap_.front()]);
      sum += kept_weight_.back();
      pop();
    }
    for (double& each : weight_) each = 0.0;
    for (std::size_t k = 0; k != kept_.size(); ++k) weight_[kept_[k]] = kept_weight_[k];
    return sum;
  }

  // What top_p is a share of where top_k comes before it.
  double sum_of_most_likely(std::size_t count) {
    auto const before = heap_;
    double sum = 0.0;
    for (std::size_t k = 0; k != count; ++k) {
      sum += weight_[heap_.front()];
      pop();
    }
    heap_ = before;
    return sum;
  }

  void pop() {
    heap_.front() = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) sift_down(0);
  }
  void sift_down(std::size_t parent) {
    for (;;) {
      std::size_t child = 2 * parent + 1;
      if (child >= heap_.size()) return;
      if (child + 1 < heap_.size() && more_likely(heap_[child + 1], heap_[child])) ++child;
      if (!more_likely(heap_[child], heap_[parent])) return;
      std::swap(heap_[child], heap_[parent]);
      parent = child;
    }
  }

  sampling_options how_;
  std::vector<double> weight_;       // [vocabulary]
  std::vector<std::uint32_t> heap_;  // the most likely token first
  std::vector<std::uint32_t> kept_;
  std::vector<double> kept_weight_;  // of each
};
using token_sampler = basic_token_sampler<>;

namespace check {

/// For the first line of a "bring your own sampling policy" file: static_assert(prefer::check::sampling_policy<mine>());
template <class P>
consteval bool sampling_policy() {
  static_assert(SamplingPolicy<P>,
                "prefer: a sampling policy has sample(std::span<std::uint32_t const> prompts, "
                "sampling_options const&, random_address const&, token_table& into, "
                "std::span<std::uint32_t> ids)");
  return true;
}

}  // namespace check

}  // namespace prefer::inline v0_1
