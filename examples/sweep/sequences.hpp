// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include <prefer/batch/token_table.hpp>

#include "exact.hpp"

namespace sweep {

/// Sequences of 4 tokens out of 6 from a policy that remembers one token: 1296 completions that share 36
/// logits, so that what one pair teaches moves the others, and the best policy of all is out of reach.
///
///   start    logits 1.2 N(0, 1) per transition
///   reward   R(y) = sum_t w[y_{t-1}, y_t] / sqrt(4), w ~ N(0, 1) per transition;  taste likewise
///
/// References  start; near = start logits + 0.7 w; far = fresh logits + 0.7 w; uniform; ema
class sequences final : public task {
 public:
  static constexpr std::size_t vocabulary = 6;
  static constexpr std::size_t length = 4;

  explicit sequences(std::size_t pairs);

  [[nodiscard]] std::string settings() const override;
  [[nodiscard]] std::vector<std::string> references() const override;
  [[nodiscard]] std::size_t tokens() const override { return length; }
  [[nodiscard]] prefer::column_set token_columns() const override {
    using prefer::column_name;
    return column_name::divergence | column_name::alignment | column_name::perturbed_toward |
           column_name::perturbed_away;
  }
  [[nodiscard]] std::string reward_name() const override {
    return "expected true reward, about s.d. of R";
  }
  [[nodiscard]] std::shared_ptr<problem const> make(std::uint64_t seed,
                                                    label_noise const& noise) const override;

 private:
  std::size_t pairs_;
  prefer::token_table table_;
};

}  // namespace sweep
