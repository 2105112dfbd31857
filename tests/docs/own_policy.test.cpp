// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <prefer/prefer.hpp>
#include <span>
#include <vector>

namespace own_policy {

// [policy]
/// One logit per completion, the same for every prompt: log_prob(y) = logit(y) - log sum exp(logit).
class item_policy {
 public:
  using value_type = double;  // float or double

  explicit item_policy(std::size_t items) : logit_(items), gradient_(items) {}

  void log_prob(prefer::choice_batch const& batch, std::span<double> out) {
    double const normaliser = log_sum();
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = logit_[batch.completion[i]] - normaliser;
    }
  }

  /// Adds sum_i coefficient_i * d log_prob_i / d logit to the gradient: here the part of the logit
  /// itself, example by example.
  void backward(prefer::choice_batch const& batch, std::span<double const> coefficient) {
    for (std::size_t i = 0; i < coefficient.size(); ++i) {
      gradient_[batch.completion[i]] += coefficient[i];
      total_ += coefficient[i];
    }
  }

  /// The part of the normaliser, once per step.
  void finish_backward() {
    double const normaliser = log_sum();
    for (std::size_t y = 0; y < logit_.size(); ++y) {
      gradient_[y] -= total_ * std::exp(logit_[y] - normaliser);
    }
    total_ = 0.0;
  }

  std::vector<prefer::parameter<double>> parameters() {
    return {{.name = "logit", .value = logit_, .gradient = gradient_}};
  }

 private:
  [[nodiscard]] double log_sum() const {
    double total = 0.0;
    for (double const s : logit_) total += std::exp(s);
    return std::log(total);
  }

  std::vector<double> logit_;
  std::vector<double> gradient_;
  double total_ = 0.0;  // of the coefficients since the last finish_backward
};

static_assert(prefer::check::policy<item_policy, prefer::choice_batch>());
// [/policy]

// [logits]
/// The same policy, which also offers log_prob up to a constant.
class item_policy_with_logits : public item_policy {
 public:
  using item_policy::item_policy;

  void logit(prefer::choice_batch const& batch, std::span<double> out) {
    auto const values = parameters()[0].value;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = values[batch.completion[i]];
  }
  void backward_logit(prefer::choice_batch const& batch, std::span<double const> coefficient) {
    auto const gradient = parameters()[0].gradient;
    for (std::size_t i = 0; i < coefficient.size(); ++i) {
      gradient[batch.completion[i]] += coefficient[i];
    }
  }
};

static_assert(prefer::LogitPolicy<item_policy_with_logits, prefer::choice_batch>);
// [/logits]

template <class P>
std::vector<double> trained(bool allow_logits, std::size_t micro_batch_size) {
  prefer::choice_data data;
  data.add_pair(0, 2, 1);
  data.add_pair(0, 3, 1);
  data.add_pair(0, 2, 0);
  P policy(4);
  auto reference = prefer::frozen(policy);
  prefer::trainer training(policy, prefer::dpo{.beta = 0.5}, reference, data,
                           {.batch_size = 3,
                            .micro_batch_size = micro_batch_size,
                            .steps = 100,
                            .rate = 0.05,
                            .allow_logits = allow_logits});
  training.run();
  auto const values = policy.parameters()[0].value;
  return {values.begin(), values.end()};
}

}  // namespace own_policy

using namespace own_policy;

TEST_CASE("own policy: backward is the transpose of log_prob's derivative", "[docs][own_policy]") {
  // [check_gradient]
  std::vector<std::uint32_t> const prompt = {0, 0};
  std::vector<std::uint32_t> const completion = {1, 2, 0};
  std::vector<std::size_t> const offset = {0, 2, 3};
  prefer::choice_batch const batch{.prompt = prompt, .completion = completion, .offset = offset};
  std::vector<double> const coefficient = {0.7, -0.2, 0.4};

  item_policy policy(3);
  auto const parameter = policy.parameters()[0];
  parameter.value[1] = 0.3;
  std::vector<double> log_prob(3);
  policy.log_prob(batch, log_prob);
  policy.backward(batch, coefficient);
  policy.finish_backward();

  auto const weighted = [&] {
    policy.log_prob(batch, log_prob);
    return 0.7 * log_prob[0] - 0.2 * log_prob[1] + 0.4 * log_prob[2];
  };
  double const step = 1e-5;
  double largest_error = 0.0;  // at most about 1e-10 here: step^2 and rounding / step
  for (std::size_t y = 0; y < 3; ++y) {
    double const here = parameter.value[y];
    parameter.value[y] = here + step;
    double const above = weighted();
    parameter.value[y] = here - step;
    double const below = weighted();
    parameter.value[y] = here;
    double const difference = (above - below) / (2 * step);
    largest_error = std::max(largest_error, std::abs(parameter.gradient[y] - difference));
  }
  // [/check_gradient]
  CHECK(largest_error < 1e-8);
}

TEST_CASE("own policy: it trains, to the same bits for any micro-batch size",
          "[docs][own_policy]") {
  auto const whole = trained<item_policy>(true, 0);
  CHECK(whole[2] > whole[1]);
  CHECK(whole[3] > whole[1]);
  CHECK(whole == trained<item_policy>(true, 1));
}

TEST_CASE("own policy: logits give what log-probabilities give, to rounding",
          "[docs][own_policy]") {
  auto const full = trained<item_policy_with_logits>(false, 0);
  auto const logits = trained<item_policy_with_logits>(true, 0);
  for (std::size_t y = 0; y < full.size(); ++y) {
    CHECK(logits[y] == Approx(full[y]).margin(1e-6));
  }
}
