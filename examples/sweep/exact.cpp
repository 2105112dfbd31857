// SPDX-License-Identifier: MIT
#include "exact.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include <prefer/expects.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>

namespace sweep {

namespace {

constexpr double least_seen = 1e-6;  // losses take its logarithm

constexpr prefer::random_purpose purpose(drawn what) {
  return static_cast<prefer::random_purpose>(
      static_cast<std::uint16_t>(prefer::random_purpose::user) + static_cast<std::uint16_t>(what));
}

std::uint32_t draw(numbers const& cumulative, prefer::random_stream& stream) {
  double const u = prefer::uniform01(stream) * cumulative.back();
  auto const found = std::upper_bound(cumulative.begin(), cumulative.end(), u);
  return static_cast<std::uint32_t>(std::min(found, cumulative.end() - 1) - cumulative.begin());
}

}  // namespace

double expectation(numbers const& log_prob, numbers const& value) {
  double sum = 0.0;
  for (std::size_t i = 0; i < value.size(); ++i) sum += std::exp(log_prob[i]) * value[i];
  return sum;
}

double divergence(numbers const& p, numbers const& q) {
  double sum = 0.0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    // NaN goes on to the sum: a policy that diverged has no divergence.
    if (double const weight = std::exp(p[i]); weight != 0.0) sum += weight * (p[i] - q[i]);
  }
  return sum < 0.0 ? 0.0 : sum;  // by rounding
}

numbers tilted(numbers base, numbers const& value, double tilt) {
  for (std::size_t i = 0; i < base.size(); ++i) base[i] += tilt * value[i];
  return log_softmax(std::move(base));
}

numbers log_softmax(numbers scores) {
  double const largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0.0;
  for (double const s : scores) sum += std::exp(s - largest);
  double const normaliser = largest + std::log(sum);
  for (double& s : scores) s -= normaliser;
  return scores;
}

numbers draw_normal(std::size_t count, std::uint64_t seed, drawn what, double spread) {
  numbers out(count);
  prefer::fill_normal(std::span(out), {.seed = seed, .purpose = purpose(what)}, 0.0, spread);
  return out;
}

bool by_taste(std::uint64_t seed, std::uint64_t index, label_noise const& noise) {
  prefer::random_stream annotator(
      {.seed = seed, .purpose = purpose(drawn::annotator), .index = index});
  return prefer::uniform01(annotator) < noise.bias;
}

bool flipped(std::uint64_t seed, std::uint64_t index, label_noise const& noise) {
  prefer::random_stream slip(
      {.seed = seed, .purpose = prefer::random_purpose::label_noise, .index = index});
  return prefer::uniform01(slip) < noise.flip;
}

exact_problem::exact_problem(exact_numbers all, std::size_t drawn_pairs, std::uint64_t seed,
                             label_noise const& noise)
    : all_(std::move(all)), drawn_(drawn_pairs), seed_(seed), noise_(noise) {
  numbers cumulative = all_.start;
  double sum = 0.0;
  for (double& each : cumulative) each = sum += std::exp(each);
  for (std::uint64_t i = 0; i < drawn_pairs; ++i) {
    prefer::random_stream stream(
        {.seed = seed, .purpose = prefer::random_purpose::data, .index = i});
    std::uint32_t const first = draw(cumulative, stream);
    std::uint32_t const second = draw(cumulative, stream);
    label const said = annotated(first, second, prefer::uniform01(stream), i);
    if (first == second) continue;
    completion_.push_back(said.first_is_chosen ? first : second);
    completion_.push_back(said.first_is_chosen ? second : first);
    seen_.push_back(std::max(said.seen, least_seen));
  }
  if (completion_.empty()) {
    prefer::refuse("seed " + std::to_string(seed) + " drew only pairs of equal completions, " +
                   std::to_string(drawn_pairs) + " of them; ask for more --pairs");
  }
}

label exact_problem::annotated(std::uint32_t first, std::uint32_t second, double u,
                               std::uint64_t index) const {
  double const gap = label_sharpness * (all_.reward[first] - all_.reward[second]);
  // u < sigmoid(gap) says the same as log(u / (1 - u)) < gap, where the left side is logistic noise.
  double const noise_in_gap = std::log(std::max(u, 0x1p-53) / (1.0 - u));
  label out{.first_is_chosen = u < 1.0 / (1.0 + std::exp(-gap)),
            .seen = std::fabs(gap - noise_in_gap) / label_sharpness};
  if (by_taste(seed_, index, noise_)) {
    out = {.first_is_chosen = all_.taste[first] > all_.taste[second],
           .seen = std::fabs(all_.taste[first] - all_.taste[second])};
  }
  if (flipped(seed_, index, noise_)) out.first_is_chosen = !out.first_is_chosen;
  return out;
}

sides exact_problem::scores(prefer::score_kind kind) const {
  sides out{.chosen = numbers(pairs()), .rejected = numbers(pairs())};
  for (std::size_t i = 0; i < pairs(); ++i) {
    double const chosen = all_.reward[completion_[2 * i]];
    double const rejected = all_.reward[completion_[2 * i + 1]];
    switch (kind) {
      case prefer::score_kind::reward:
        out.chosen[i] = chosen;
        out.rejected[i] = rejected;
        break;
      case prefer::score_kind::ordered_reward:
        out.chosen[i] = 0.5 * (chosen + rejected + seen_[i]);
        out.rejected[i] = 0.5 * (chosen + rejected - seen_[i]);
        break;
      case prefer::score_kind::win_probability:
        out.chosen[i] = 1.0 / (1.0 + std::exp(-label_sharpness * (chosen - rejected)));
        out.rejected[i] = 1.0 - out.chosen[i];
        break;
      case prefer::score_kind::none:
        break;
    }
  }
  return out;
}

std::optional<optimum> exact_problem::best(double beta) const {
  numbers const policy = tilted(all_.start, all_.reward, 1.0 / beta);
  return optimum{expectation(policy, all_.reward), divergence(policy, all_.start)};
}

/// Along start * exp(tilt * R) / Z, reward and KL both grow with tilt = 1 / beta, so bisection finds the
/// tilt that spends all of `kl`.
double exact_problem::best_reward(double kl) const {
  double low = 0.0;
  double high = 1.0;
  while (divergence(tilted(all_.start, all_.reward, high), all_.start) < kl) {
    if (high > 1e6) return *std::max_element(all_.reward.begin(), all_.reward.end());
    low = high;
    high *= 2.0;
  }
  for (int i = 0; i < 50; ++i) {
    double const middle = 0.5 * (low + high);
    (divergence(tilted(all_.start, all_.reward, middle), all_.start) < kl ? low : high) = middle;
  }
  return expectation(tilted(all_.start, all_.reward, high), all_.reward);
}

judgement exact_problem::judge(numbers const& policy, numbers const* reference) const {
  double const kl = divergence(policy, all_.start);
  judgement out{.reward = expectation(policy, all_.reward),
                .kl_start = kl,
                .best_reward = std::isfinite(kl) ? best_reward(kl) : kl};
  if (reference != nullptr) out.kl_reference = divergence(policy, *reference);
  return out;
}

}  // namespace sweep
