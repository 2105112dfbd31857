// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include <prefer/batch/columns.hpp>
#include <prefer/expects.hpp>
#include <prefer/metrics/rewards.hpp>

namespace prefer::inline v0_1 {

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

namespace detail {

/// Of each side of a pair: whether it fell, how far, how far per token, and its log-ratio; then which sides fell.
struct falls_of_pair {
  static constexpr auto of_side(auto const& completion) {
    auto const r = completion.log_ratio();  // a pair's own beta has no say here
    auto const fell = r < 0.0;
    using S = std::remove_const_t<decltype(r)>;
    return std::array<S, 4>{where(fell, S(1.0)), where(fell, -r),
                            where(fell, -completion.mean_log_ratio()), r};
  }
  constexpr auto operator()(auto const& pair) const {
    auto const chosen = of_side(pair.chosen);
    auto const rejected = of_side(pair.rejected);
    using S = std::remove_cvref_t<decltype(chosen[0])>;
    return std::array<S, 11>{chosen[0],
                             chosen[1],
                             chosen[2],
                             chosen[3],
                             rejected[0],
                             rejected[1],
                             rejected[2],
                             rejected[3],
                             chosen[0] * (1.0 - rejected[0]),
                             rejected[0] * (1.0 - chosen[0]),
                             chosen[0] * rejected[0]};
  }
};

}  // namespace detail

/// How far the completions of a batch of pairs fell below the reference.
///
/// Errors  precondition_error for sizes that disagree, and without a reference
template <class C = column>
[[nodiscard]] displacement displacement_of(basic_pair_columns<C> const& batch) {
  expects(batch.reference.present(), "displacement_of: it is measured from a reference; give one");
  bool const has_lengths = batch.length.chosen.present() || batch.length.rejected.present();
  if (has_lengths) detail::expects_lengths(batch, "displacement_of");
  auto const sums = batch_statistics(batch, "displacement_of").sums(detail::falls_of_pair{});
  auto const n = static_cast<double>(batch.size());
  auto const side = [&](std::size_t at) {
    return displacement::side{
        .fell = {sums[at], n},
        .fall = {sums[at + 1], sums[at]},
        .fall_per_token = has_lengths ? sum_and_count{sums[at + 2], sums[at]} : sum_and_count{},
        .log_ratio = {sums[at + 3], n}};
  };
  double const fell = sums[8] + sums[9] + sums[10];
  return {.chosen = side(0),
          .rejected = side(4),
          .only_chosen_fell = {sums[8], n},
          .only_rejected_fell = {sums[9], n},
          .both_fell = {sums[10], n},
          .neither_fell = {n - fell, n}};
}

}  // namespace prefer::inline v0_1
