// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
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
#include <prefer/scalar/lane_math.hpp>

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
  /// Completions that are written at once, where a policy writes several; changes none of them.
  std::size_t side_by_side = 64;
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
    take(log_prob);
    return next(numbers);
  }

  /// Takes log-probabilities from which `next` draws, as often as it is called.
  template <std::floating_point T>
  void take(std::span<T const> log_prob) {
    expects(!log_prob.empty(), "token_sampler: the vocabulary is empty");
    if (how_.top_k == 1) {
      T const most = largest(log_prob);
      most_likely_ = 0;
      while (most_likely_ != log_prob.size() && log_prob[most_likely_] != most) ++most_likely_;
      if (most_likely_ == log_prob.size()) most_likely_ = 0;
      return;
    }
    total_ = weigh(log_prob);
    bool const limited = how_.top_k != 0 && how_.top_k < weight_.size();
    if (!limited && how_.top_p == 1.0) return;
    kept_.clear();
    if (limited) total_ = keep(how_.top_k, std::numeric_limits<double>::infinity());
    if (how_.top_p < 1.0) total_ = keep(weight_.size(), how_.top_p * total_);
    forget_all_but_kept();
  }
  [[nodiscard]] std::uint32_t next(random_stream& numbers) const {
    if (how_.top_k == 1) return static_cast<std::uint32_t>(most_likely_);
    return token_at(uniform01(numbers) * total_);
  }

 private:
  // Tokens whose weights are summed, and compared, before any is looked at alone.
  static constexpr std::size_t block = 64;

  template <std::floating_point T>
  [[nodiscard]] static T largest(std::span<T const> of) {
    constexpr std::size_t width = lane<T>::width;
    lane<T> largest = -std::numeric_limits<double>::infinity();
    std::size_t v = 0;
    for (; v + width <= of.size(); v += width) largest = max(lane<T>::load(of.data() + v), largest);
    T rest[width];
    for (T& each : rest) each = -std::numeric_limits<T>::infinity();
    if (v != of.size()) std::memcpy(rest, of.data() + v, (of.size() - v) * sizeof(T));
    largest = max(lane<T>::load(rest), largest);
    T most = largest[0];
    for (std::size_t i = 1; i != width; ++i) most = largest[i] > most ? largest[i] : most;
    return most;
  }

  // All weights, of which the largest is 1, and the sum and the largest of each block. Gives the sum of all.
  template <std::floating_point T>
  double weigh(std::span<T const> log_prob) {
    using pack = lane<double>;
    using of_block = std::array<double, block>;
    constexpr double nothing = -std::numeric_limits<double>::infinity();
    std::size_t const count = log_prob.size();
    double const most = static_cast<double>(largest(log_prob));
    std::size_t const blocks = (count + block - 1) / block;
    weight_.resize(blocks * block);
    sum_of_block_.resize(blocks);
    largest_of_block_.resize(blocks);
    double total = 0.0;
    for (std::size_t k = 0; k != blocks; ++k) {
      std::size_t const size = detail::at_most(block, count - k * block);
      of_block exponent;
      for (std::size_t v = 0; v != size; ++v) {
        exponent[v] = (static_cast<double>(log_prob[k * block + v]) - most) / how_.temperature;
      }
      for (std::size_t v = size; v != block; ++v) exponent[v] = nothing;
      pack sums = 0.0;
      pack largest = 0.0;
      for (std::size_t v = 0; v != block; v += pack::width) {
        pack const weight = exp(pack::load(exponent.data() + v));
        weight.store(weight_.data() + k * block + v);
        sums += weight;
        largest = max(weight, largest);
      }
      sum_of_block_[k] = sum(sums);
      largest_of_block_[k] = largest[0];
      for (std::size_t i = 1; i != pack::width; ++i) {
        largest_of_block_[k] =
            largest[i] > largest_of_block_[k] ? largest[i] : largest_of_block_[k];
      }
      total += sum_of_block_[k];
    }
    return total;
  }

  // The token in which the running sum of all weights passes `left`. Rounding may leave a little at the end; the last
  // token that can be drawn gets it.
  [[nodiscard]] std::uint32_t token_at(double left) const {
    std::size_t k = 0;
    while (k + 1 < sum_of_block_.size() && !(left < sum_of_block_[k])) left -= sum_of_block_[k++];
    for (std::size_t v = k * block; v != weight_.size(); ++v) {
      left -= weight_[v];
      if (left < 0.0 && weight_[v] > 0.0) return static_cast<std::uint32_t>(v);
    }
    std::size_t last = weight_.size() - 1;
    while (last != 0 && !(weight_[last] > 0.0)) --last;
    return static_cast<std::uint32_t>(last);
  }
  void forget_all_but_kept() {
    kept_weight_.clear();
    for (std::uint32_t const v : kept_) kept_weight_.push_back(weight_[v]);
    weight_.assign(weight_.size(), 0.0);
    sum_of_block_.assign(sum_of_block_.size(), 0.0);
    for (std::size_t k = 0; k != kept_.size(); ++k) {
      weight_[kept_[k]] = kept_weight_[k];
      sum_of_block_[kept_[k] / block] += kept_weight_[k];
    }
  }

  [[nodiscard]] bool more_likely(std::uint32_t a, std::uint32_t b) const {
    return weight_[a] > weight_[b] || (weight_[a] == weight_[b] && a < b);
  }

  // Keeps the most likely tokens, of those kept before if there are any: as many as `most_tokens`, or as together weigh
  // `share`. Gives what they weigh. Tokens are taken in bands of weights; of the band in which one of the two is reached,
  // a heap gives the most likely one by one, so what is not kept is not sorted.
  double keep(std::size_t most_tokens, double share) {
    among_.swap(kept_);
    kept_.clear();
    double sum = 0.0;
    double above = std::numeric_limits<double>::infinity();
    for (double from = 0x1p-4; above != 0.0;
         above = from, from = from < 0x1p-64 ? 0.0 : from / 16) {
      double const in_band = find_band(from, above);
      if (kept_.size() + band_.size() <= most_tokens && sum + in_band < share) {
        for (std::uint32_t const v : band_) kept_.push_back(v);
        sum += in_band;
        continue;
      }
      for (std::size_t parent = band_.size() / 2; parent-- != 0;) sift_down(parent);
      while (!band_.empty() && kept_.size() != most_tokens && (kept_.empty() || sum < share)) {
        kept_.push_back(band_.front());
        sum += weight_[band_.front()];
        band_.front() = band_.back();
        band_.pop_back();
        if (!band_.empty()) sift_down(0);
      }
      if (!band_.empty()) break;
    }
    return sum;
  }
  void sift_down(std::size_t parent) {
    for (;;) {
      std::size_t child = 2 * parent + 1;
      if (child >= band_.size()) return;
      if (child + 1 < band_.size() && more_likely(band_[child + 1], band_[child])) ++child;
      if (!more_likely(band_[child], band_[parent])) return;
      std::swap(band_[child], band_[parent]);
      parent = child;
    }
  }
  // The tokens with weights in [from, above), from 0 on those above 0; gives their sum.
  double find_band(double from, double above) {
    // Written for every token and kept for some: a branch would be mispredicted for most.
    band_.resize(weight_.size() + 1);
    std::size_t count = 0;
    double sum = 0.0;
    auto const look = [&](std::size_t v) {
      double const weight = weight_[v];
      bool const inside = weight >= from && weight < above && weight > 0.0;
      band_[count] = static_cast<std::uint32_t>(v);
      count += inside ? 1 : 0;
      sum += inside ? weight : 0.0;
    };
    for (std::uint32_t const v : among_) look(v);
    for (std::size_t k = 0; among_.empty() && k != largest_of_block_.size(); ++k) {
      if (largest_of_block_[k] < from) continue;
      for (std::size_t v = k * block; v != (k + 1) * block; ++v) look(v);
    }
    band_.resize(count);
    return sum;
  }

  sampling_options how_;
  std::size_t most_likely_ = 0;
  double total_ = 0.0;
  std::vector<double> weight_;  // [vocabulary], zeros up to a whole block
  std::vector<double> sum_of_block_;
  std::vector<double> largest_of_block_;
  std::vector<std::uint32_t> kept_;
  std::vector<double> kept_weight_;
  std::vector<std::uint32_t> among_;  // which are kept; all tokens where it is empty
  std::vector<std::uint32_t> band_;   // perhaps as a heap, the most likely first
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
