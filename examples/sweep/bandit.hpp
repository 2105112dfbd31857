// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "problem.hpp"

namespace sweep {

/// One prompt, some actions, everything exact:
///
///   start    softmax(1.2 N(0, 1))               reward R  N(0, 1) per action
///   pairs    two independent draws from start;  P(first is labelled chosen) = sigmoid(2 (R_first - R_second))
///
/// A pair of twice the same action teaches nothing, but counts: the mean loss divides by all that were drawn.
/// A biased annotator gives each action an own score N(0, 1) and always prefers the higher one.
/// References  start; near = start tilted by exp(0.7 R); far = softmax(1.2 N(0, 1) + 0.7 R) with fresh
///             numbers; uniform
class bandit final : public task {
 public:
  bandit(std::size_t actions, std::size_t pairs);

  [[nodiscard]] std::string settings() const override;
  [[nodiscard]] std::vector<std::string> references() const override;
  [[nodiscard]] std::string reward_name() const override {
    return "expected true reward, s.d. of R";
  }
  [[nodiscard]] std::shared_ptr<problem const> make(std::uint64_t seed,
                                                    label_noise const& noise) const override;

 private:
  std::size_t actions_;
  std::size_t pairs_;
};

/// A bandit's numbers, one per action.
struct bandit_numbers {
  std::vector<double> start;   ///< log-probabilities, nats
  std::vector<double> reward;  ///< true
  std::vector<double> far;     ///< scores of the far reference's base
  std::vector<double> taste;   ///< scores of the biased annotator
};
[[nodiscard]] bandit_numbers draw_bandit(std::size_t actions, std::uint64_t seed);

}  // namespace sweep
