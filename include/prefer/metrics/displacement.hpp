// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/columns.hpp>
#include <prefer/expects.hpp>
#include <prefer/metrics/rewards.hpp>

namespace prefer {

/// Likelihood displacement: completions that the policy finds less likely than the reference does, chosen ones
/// included. Margins can grow all the while, because rejected completions fall further; the probability
/// goes to completions that are in no pair.
///
/// "Fell" is log_ratio < 0; all others, ties too, were kept. The four shares of the table add up to 1.
/// Source  Pal et al. 2024, arXiv:2402.13228; Razin et al. 2024, arXiv:2410.08847
struct displacement {
  /// Of one side of the pairs.
  struct side {
    sum_and_count fell = {};            ///< share of pairs
    sum_and_count fall = {};            ///< mean size over those that fell, nats, > 0
    sum_and_count fall_per_token = {};  ///< the same divided by length, where lengths are given
    sum_and_count log_ratio = {};       ///< mean over all pairs, nats
  };
  side chosen = {};
  side rejected = {};
  sum_and_count only_chosen_fell = {};    ///< share of pairs, as are the next three
  sum_and_count only_rejected_fell = {};  ///< what a preference asks for
  sum_and_count both_fell = {};
  sum_and_count neither_fell = {};

  friend displacement operator+(displacement const& a, displacement const& b) {
    return {add(a.chosen, b.chosen),
            add(a.rejected, b.rejected),
            a.only_chosen_fell + b.only_chosen_fell,
            a.only_rejected_fell + b.only_rejected_fell,
            a.both_fell + b.both_fell,
            a.neither_fell + b.neither_fell};
  }

 private:
  static side add(side const& a, side const& b) {
    return {a.fell + b.fell, a.fall + b.fall, a.fall_per_token + b.fall_per_token,
            a.log_ratio + b.log_ratio};
  }
};

/// How far the completions of a batch of pairs fell below the reference.
///
/// Errors  precondition_error for sizes that disagree, and without a reference
[[nodiscard]] inline displacement displacement_of(pair_columns const& batch) {
  expects(batch.reference.present(), "displacement_of: it is measured from a reference; give one");
  detail::pair_rewards const log_ratio(batch, {}, "displacement_of");
  bool const has_lengths = batch.length.chosen.present() || batch.length.rejected.present();
  if (has_lengths) detail::pair_rewards::expects_lengths(batch, "displacement_of");
  auto const part = [&](double r, column const& length, std::size_t i) {
    bool const fell = r < 0.0;
    displacement::side out{.fell = {fell ? 1.0 : 0.0, 1.0}, .log_ratio = {r, 1.0}};
    if (fell) out.fall = {-r, 1.0};
    if (fell && has_lengths) out.fall_per_token = {-r / length[i], 1.0};
    return out;
  };
  displacement total;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    double const chosen =
        batch.policy.chosen[i] - batch.reference.chosen[i];  // a pair's own beta has no say here
    double const rejected = batch.policy.rejected[i] - batch.reference.rejected[i];
    auto const share = [](bool holds) { return sum_and_count{holds ? 1.0 : 0.0, 1.0}; };
    displacement one;
    one.chosen = part(chosen, batch.length.chosen, i);
    one.rejected = part(rejected, batch.length.rejected, i);
    one.only_chosen_fell = share(chosen < 0.0 && !(rejected < 0.0));
    one.only_rejected_fell = share(!(chosen < 0.0) && rejected < 0.0);
    one.both_fell = share(chosen < 0.0 && rejected < 0.0);
    one.neither_fell = share(!(chosen < 0.0) && !(rejected < 0.0));
    total = total + one;
  }
  return total;
}

}  // namespace prefer
