// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "exact.hpp"

namespace sweep {

/// One prompt and some actions, with a logit each:
///
///   start    softmax(1.2 N(0, 1))               reward R, taste  N(0, 1) per action
///
/// References  start; near = start tilted by exp(0.7 R); far = softmax(1.2 N(0, 1) + 0.7 R) with fresh
///             numbers; uniform; ema
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

/// What a seed draws, without the pairs.
[[nodiscard]] exact_numbers draw_bandit(std::size_t actions, std::uint64_t seed);

}  // namespace sweep
