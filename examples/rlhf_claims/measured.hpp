// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace rlhf_claims {

/// One number of one seed: what was measured, of which method, in which setting, and at which value of the swept number.
struct measured {
  std::string setting;
  std::string method;
  double at =
      0.0;  ///< n, beta or KL divergence, as the measure's study says; 0 where nothing is swept
  std::string measure;
  double value = 0.0;  ///< NaN where it does not apply to this seed
};

/// The same over seeds.
struct mean_of_seeds {
  std::string setting;
  std::string method;
  double at = 0.0;
  std::string measure;
  double mean = 0.0;
  double standard_error = 0.0;  ///< of the mean
  std::size_t seeds = 0;        ///< to which it applied
};

/// All that one study has found, over seeds that measured the same things in the same order.
class found {
 public:
  found() = default;
  explicit found(std::vector<std::vector<measured>> const& seeds);

  [[nodiscard]] std::vector<mean_of_seeds> const& rows() const { return rows_; }
  /// Errors  precondition_error for what was not measured
  [[nodiscard]] mean_of_seeds const& row(std::string const& setting, std::string const& method,
                                         std::string const& measure, double at = 0.0) const;
  /// Rows of one measure in the order of what was swept.
  [[nodiscard]] std::vector<mean_of_seeds> along(std::string const& setting,
                                                 std::string const& method,
                                                 std::string const& measure) const;

 private:
  std::vector<mean_of_seeds> rows_;
};

/// "0.123 ± 0.004"
[[nodiscard]] std::string in_words(mean_of_seeds const& of, int precision = 3);
/// By how many standard errors a mean is away from 0.
[[nodiscard]] double errors_from_zero(mean_of_seeds const& of);

}  // namespace rlhf_claims
