// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <prefer/batch/backend.hpp>
#include <prefer/batch/check_columns.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/reduce.hpp>
#include <prefer/expects.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/scalar/scalar.hpp>

namespace prefer::inline v0_1 {

/// The number where the condition holds, and 0 elsewhere: what a sum of some records adds up.
template <class S>
[[nodiscard]] constexpr S where(auto const& condition, S const& number) {
  return select(condition, number, S(0.0));
}

namespace detail {

/// One number for a formula that gives one, an array for one that gives an array.
template <class Columns, class F, std::size_t N>
[[nodiscard]] constexpr auto as_given(F const& formula, std::array<double, N> const& numbers) {
  if constexpr (requires {
                  std::tuple_size<
                      std::remove_cvref_t<decltype(formula(probe_record_of<Columns>()))>>::value;
                } || N > 1) {
    return numbers;
  } else {
    return numbers[0];
  }
}

/// The numbers of one column, given as log-probabilities of unpaired completions: what copies them, or reads them one by one.
struct copied_number {
  constexpr auto operator()(auto const& one) const { return one.log_prob; }
};

/// The sum of all numbers that a formula gives for a record.
template <class F>
struct all_numbers {
  F formula;

  template <class Record, class S>
  constexpr S operator()(Record const& record, S const& weight) const {
    auto const each = numbers_of_record(formula, record, weight);
    S sum = each[0];
    for (std::size_t n = 1; n < each.size(); ++n) sum = sum + each[n];
    return sum;
  }
};

/// A formula that gives one number of a list and none of its completions, as `for_each_list` takes it.
template <class F>
struct number_of_list {
  F number;

  static constexpr std::size_t room = 0;
  [[nodiscard]] static constexpr column_set reads() { return column_set{~0u}; }
  template <class S, class At>
  constexpr S operator()(list_record<S, At> const& list, S const&, std::span<S>,
                         std::span<S>) const {
    return number(list);
  }
};
template <class F>
number_of_list(F) -> number_of_list<F>;

}  // namespace detail

/// The numbers with the largest keys of a batch.
struct upper_part {
  double threshold = 0.0;  ///< they are those above it
  double count = 0.0;      ///< how many they are
};

/// What can be known of a batch as a whole, of the parts of all processes together: sums and means of formulas over its
/// records, and their order. Losses prepare from it, and metrics are made of it.
///
///   auto const [chosen, rejected] = batch.means(
///       [](auto const& pair) { return std::array{pair.chosen.log_ratio(), pair.rejected.log_ratio()}; });
///
/// A formula takes a record of any Scalar, as a loss does, and gives one number or an array of them; with a second
/// argument it is given the example's weight. Columns that are not there have the defaults of a record.
///
/// Several processes: collective, so every process asks for the same things in the same order
template <class Columns, Communicator Processes = single_process>
class batch_statistics {
 public:
  /// Sizes that disagree are told in the name of `function`.
  batch_statistics(Columns const& batch, Processes const& processes, char const* function)
      : batch_(batch), processes_(processes) {
    detail::check_sides(batch, function);
    detail::check_sizes(batch, function);
  }
  /// For a loss's `prepare`, whose examples all depend on what is summed: a sum that is infinite or NaN is refused, with the
  /// row that made it so (decision 0045). Elsewhere it is what it is.
  batch_statistics(Columns const& batch, Processes const& processes)
      : batch_statistics(batch, processes, "prepare") {
    refuses_ = "example";
  }
  explicit batch_statistics(Columns const& batch, char const* function)
    requires std::same_as<Processes, single_process>
      : batch_statistics(batch, alone, function) {}

  /// Sums over all examples.
  template <class F>
  [[nodiscard]] auto sums(F const& formula) const {
    return detail::as_given<Columns>(formula, sums_and_count(formula).first);
  }
  /// The same, divided by the number of examples.
  template <class F>
  [[nodiscard]] auto means(F const& formula) const {
    auto [numbers, count] = sums_and_count(formula);
    for (double& each : numbers) each = count > 0.0 ? each / count : 0.0;
    return detail::as_given<Columns>(formula, numbers);
  }
  /// How many examples there are.
  [[nodiscard]] double count() const {
    double mine[] = {static_cast<double>(batch_.size())};
    processes_.all_sum(mine);
    return mine[0];
  }

  /// The given share of all examples, at least one, with the largest numbers. The threshold is half-way to the next
  /// one, so that rounding does not move an example across.
  template <class F>
  [[nodiscard]] upper_part largest(F const& formula, double share) const {
    std::vector<double> const of_all =
        processes_.all_gather(detail::backend_of_batch(batch_).numbers(batch_, formula));
    std::size_t const n = of_all.size();
    auto const order = ascending_order(n, [&](std::size_t i) { return of_all[i]; });
    auto const whole = static_cast<std::size_t>(share * static_cast<double>(n));
    std::size_t const kept = whole == 0 ? 1 : whole;
    double const threshold = kept < n
                                 ? 0.5 * (of_all[order[n - kept - 1]] + of_all[order[n - kept]])
                                 : std::numeric_limits<double>::lowest();
    return {threshold, static_cast<double>(kept)};
  }

  /// This process's rows in ascending order of a number; equal numbers keep their order, and NaN come last.
  template <class F>
  [[nodiscard]] auto ascending(F const& formula) const {
    return detail::backend_of_batch(batch_).ascending(batch_, formula);
  }
  /// For each of this process's rows the row of `second` that has its rank in `first`: matching quantiles.
  template <class F, class G>
  [[nodiscard]] auto same_rank(F const& first, G const& second) const {
    auto const on = detail::backend_of_batch(batch_);
    return on.gather(ascending(second), on.inverse(ascending(first)));
  }

  /// The same questions of a loss that has a limit where a sum is infinite, so that only NaN is refused.
  [[nodiscard]] batch_statistics with_infinities() const {
    batch_statistics out = *this;
    out.infinite_is_good_ = true;
    return out;
  }

  /// The batch's completions of other prompts, as examples of their own.
  ///
  /// Errors  precondition_error without them
  [[nodiscard]] auto kl_examples() const {
    auto const& of = batch_.kl_examples;
    if (!of.policy.present() || !of.reference.present()) {
      detail::broken(
          "unpaired_columns: this loss takes its baseline from KL examples; give "
          "kl_examples.policy and kl_examples.reference");
    }
    batch_statistics out(Columns{.policy = of.policy, .reference = of.reference}, processes_);
    out.refuses_ = "KL example";
    return out;
  }

 private:
  static constexpr single_process alone = {};

  /// What the formula gives for each row leaves the backend here only.
  template <class F>
  void refuse_not_finite(F const& formula) const {
    std::vector<double> const numbers =
        detail::backend_of_batch(batch_).numbers(batch_, detail::all_numbers<F>{formula});
    std::string place = "a row of another process";
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (infinite_is_good_ ? !std::isnan(numbers[i]) : std::isfinite(numbers[i])) continue;
      place = std::string(refuses_) + " " + std::to_string(i);
      break;
    }
    detail::broken("prepare: this loss takes a statistic of the batch, which " + place + " makes " +
                   (infinite_is_good_ ? "NaN" : "infinite or NaN") +
                   ", and with it the loss of every example; diagnose(batch) names the column");
  }

  template <class F>
  [[nodiscard]] auto sums_and_count(F const& formula) const {
    constexpr std::size_t width = detail::numbers_per_record<Columns, F>;
    auto const on = detail::backend_of_batch(batch_);
    using result = typename std::remove_const_t<decltype(on)>::result;
    std::array<double, width> const own =
        on.read(on.for_each_record(batch_, formula, std::array<result, width>{}));
    double all[width + 1];
    for (std::size_t n = 0; n < width; ++n) all[n] = own[n];
    all[width] = static_cast<double>(batch_.size());
    processes_.all_sum(std::span<double>(all));
    std::pair<std::array<double, width>, double> out{{}, all[width]};
    for (std::size_t n = 0; n < width; ++n) out.first[n] = all[n];
    for (std::size_t n = 0; refuses_ != nullptr && n < width; ++n) {
      if (infinite_is_good_ ? std::isnan(all[n]) : !std::isfinite(all[n])) {
        refuse_not_finite(formula);
      }
    }
    return out;
  }

  Columns batch_;
  Processes const& processes_;
  char const* refuses_ = nullptr;  // what a row is called in a refusal; null where none is
  bool infinite_is_good_ = false;
};

/// The same questions without a batch: every number is 0, and it is kept which columns the formulas read.
template <class Columns>
class probed_statistics {
 public:
  constexpr explicit probed_statistics(column_set& read) : read_(&read) {}

  template <class F>
  [[nodiscard]] constexpr auto sums(F const& formula) const {
    note(formula);
    return detail::as_given<Columns>(formula,
                                     std::array<double, detail::numbers_per_record<Columns, F>>{});
  }
  template <class F>
  [[nodiscard]] constexpr auto means(F const& formula) const {
    return sums(formula);
  }
  [[nodiscard]] constexpr double count() const { return 1.0; }
  template <class F>
  [[nodiscard]] constexpr upper_part largest(F const& formula, double /*share*/) const {
    note(formula);
    return {0.0, 1.0};
  }
  [[nodiscard]] constexpr probed_statistics with_infinities() const { return *this; }
  /// Examples of their own: what is read of them is no column that a formula of the loss sees.
  [[nodiscard]] constexpr probed_statistics kl_examples() const { return {}; }

 private:
  constexpr probed_statistics() = default;

  template <class F>
  constexpr void note(F const& formula) const {
    if (read_ != nullptr) *read_ = *read_ | detail::read_by<Columns>(formula);
  }

  column_set* read_ = nullptr;
};

}  // namespace prefer::inline v0_1
