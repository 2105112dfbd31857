// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/model/choice_ids.hpp>
#include <prefer/model/softmax.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/identity.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/random/order.hpp>
#include <prefer/random/philox.hpp>

namespace prefer::inline v0_1 {

/// How many completions stand for all of them, and how they are drawn.
struct sampled_softmax_options {
  std::size_t samples = 1024;  ///< m; as many as there are completions: exact
  std::uint64_t seed = 1;
};

/// A policy over a finite set of completions whose normaliser is estimated, for sets too large to go through in every
/// step. It borrows the policy, which gives logits.
///
///   log_prob(y | x) = logit(x, y) - log Z^(x),   Z^(x) = N / m * sum_{s in S} exp(logit(x, s))
///
/// S is m of the N completions, drawn without replacement, the same for all prompts of a step and others in the next: it is
/// addressed by (seed, batch.draw). Z^ has the expectation Z, so by Jensen's inequality E[log Z^] <= log Z: log_prob is too
/// high on average, by
///
///   log Z - E[log Z^] = (N - m) / (N - 1) * c^2 / (2 m) + O(1 / m^2)
///
/// where c is the standard deviation of exp(logit(x, y)) over the N completions divided by their mean: about 0.05 nats for
/// c = 10 and m = 1024. The bias is one number per prompt, so it cancels in margins. The gradient is that of this estimate:
/// the expectation under the policy in it is a ratio of two sums over S, whose bias is O(1 / m) too.
///
/// Memory  prompts of a batch x m, whatever N is
/// Cache   none: numbers depend on the draw, and `cached` refuses it
/// Errors  precondition_error where samples are 0 or more than there are completions; and the policy's own
/// Source  importance sampling of the partition function, Bengio and Senécal 2008, with a uniform proposal
template <class P>
  requires LogitPolicy<P, choice_batch>
class sampled_softmax {
 public:
  using value_type = typename P::value_type;
  static constexpr bool depends_on_draw = true;

  explicit sampled_softmax(P& policy, sampled_softmax_options const& options = {})
      : policy_(policy),
        options_(options),
        sums_(policy.prompts()),
        seen_(policy.prompts()),
        place_(policy.prompts()) {
    expects(options.samples > 0, "sampled_softmax: samples must be greater than zero");
    if (options.samples > policy.completions()) {
      detail::broken("sampled_softmax: samples is " + std::to_string(options.samples) +
                     ", expected at most the number of completions, " +
                     std::to_string(policy.completions()));
    }
  }

  [[nodiscard]] std::size_t prompts() const { return policy_.prompts(); }
  [[nodiscard]] std::size_t completions() const { return policy_.completions(); }
  [[nodiscard]] std::vector<parameter<value_type>> parameters() { return policy_.parameters(); }
  void use(executor threads) {
    if constexpr (requires { policy_.use(threads); }) policy_.use(threads);
  }
  /// Of the policy's base, and how completions are drawn.
  [[nodiscard]] std::uint64_t identity() {
    return fingerprint()
        .add("sampled_softmax")
        .add(static_cast<std::uint64_t>(options_.samples))
        .add(options_.seed)
        .add(identity_of_base(policy_))
        .value();
  }

  void log_prob(choice_batch const& batch, std::span<value_type> out) {
    policy_.logit(batch, out);
    draw(batch.draw);
    collect(batch.prompt);
    score_samples();
    for (std::size_t g = 0; g < batch.size(); ++g) {
      auto const& normaliser = normaliser_[place_[batch.prompt[g]]];
      for (std::size_t i = batch.offset[g]; i < batch.offset[g + 1]; ++i) {
        out[i] = normaliser.log_prob(out[i]) - log_weight_;
      }
    }
  }

  void backward(choice_batch const& batch, std::span<value_type const> coefficient) {
    policy_.backward_logit(batch, coefficient);
    for (std::size_t g = 0; g < batch.size(); ++g) {
      for (std::size_t i = batch.offset[g]; i < batch.offset[g + 1]; ++i) {
        sums_.add(batch.prompt[g], static_cast<double>(coefficient[i]));
      }
    }
  }

  /// The normalisers' part, once per step: - a_x / sum_s exp(logit(x, s)) * exp(logit(x, s)) for every s in S, a_x the
  /// sum of the coefficients of a prompt.
  void finish_backward() {
    prompt_.clear();
    std::vector<value_type>& sum = coefficient_of_prompt_;
    sum.clear();
    sums_.drain([&](std::size_t x, double a) {
      prompt_.push_back(static_cast<std::uint32_t>(x));
      sum.push_back(static_cast<value_type>(a));
    });
    if (!prompt_.empty()) {
      score_samples();
      for (std::size_t k = 0; k < prompt_.size(); ++k) {
        auto const row = std::span(logit_).subspan(k * sample_.size(), sample_.size());
        value_type const weight = -sum[k] / normaliser_[k].sum;
        exponentiate(row, normaliser_[k].max);
        for (value_type& each : row) each *= weight;
      }
      policy_.backward_logit(samples_of_prompts(), logit_);
    }
    if constexpr (requires { policy_.finish_backward(); }) policy_.finish_backward();
  }

  void clear_gradient()
    requires requires(P& policy) { policy.clear_gradient(); }
  {
    policy_.clear_gradient();
  }
  void parameters_moved()
    requires requires(P& policy) { policy.parameters_moved(); }
  {
    policy_.parameters_moved();
  }
  void logit(choice_batch const& batch, std::span<value_type> out) { policy_.logit(batch, out); }
  void backward_logit(choice_batch const& batch, std::span<value_type const> coefficient) {
    policy_.backward_logit(batch, coefficient);
  }

 private:
  void draw(std::uint64_t at) {
    if (!sample_.empty() && drawn_ == at) return;
    drawn_ = at;
    random_stream numbers(
        {.seed = options_.seed, .purpose = random_purpose::subset, .step = at, .index = 0});
    std::size_t const n = policy_.completions();
    sample_.clear();
    for (auto const each : sample_without_replacement(n, options_.samples, numbers)) {
      sample_.push_back(static_cast<std::uint32_t>(each));
    }
    log_weight_ = static_cast<value_type>(
        std::log(static_cast<double>(n) / static_cast<double>(sample_.size())));
  }

  // The different prompts, ascending, and where each of them stands.
  void collect(std::span<std::uint32_t const> prompts) {
    for (std::uint32_t const x : prompts) seen_.insert(x);
    prompt_.clear();
    seen_.drain([&](std::size_t x) {
      place_[x] = prompt_.size();
      prompt_.push_back(static_cast<std::uint32_t>(x));
    });
  }

  [[nodiscard]] choice_batch samples_of_prompts() {
    std::size_t const m = sample_.size();
    completion_.clear();
    offset_.assign(1, 0);
    for (std::size_t k = 0; k < prompt_.size(); ++k) {
      completion_.insert(completion_.end(), sample_.begin(), sample_.end());
      offset_.push_back(offset_.back() + m);
    }
    return {prompt_, completion_, offset_};
  }

  // Logits of the sample and its normaliser, for every prompt at work.
  void score_samples() {
    std::size_t const m = sample_.size();
    logit_.resize(prompt_.size() * m);
    policy_.logit(samples_of_prompts(), logit_);
    normaliser_.clear();
    for (std::size_t k = 0; k < prompt_.size(); ++k) {
      normaliser_.push_back(normalise(std::span<value_type const>(logit_).subspan(k * m, m)));
    }
  }

  P& policy_;
  sampled_softmax_options options_;
  detail::coefficient_sums sums_;
  detail::id_set seen_;
  std::vector<std::size_t> place_;  // of a prompt of the batch among prompt_
  std::vector<std::uint32_t> sample_;
  std::uint64_t drawn_ = 0;
  value_type log_weight_ = 0;  // log(N / m)

  // Working memory, kept from batch to batch.
  std::vector<std::uint32_t> prompt_;
  std::vector<std::uint32_t> completion_;
  std::vector<std::size_t> offset_;
  std::vector<value_type> logit_;  // [prompt_, m]
  std::vector<softmax_normaliser<value_type>> normaliser_;
  std::vector<value_type> coefficient_of_prompt_;
};

}  // namespace prefer::inline v0_1
