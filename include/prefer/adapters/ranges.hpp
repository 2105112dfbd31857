// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <range/v3/range/access.hpp>
#include <range/v3/range/concepts.hpp>
#include <range/v3/range/primitives.hpp>
#include <range/v3/range_fwd.hpp>
#include <range/v3/view/facade.hpp>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/record.hpp>
#include <prefer/expects.hpp>

// range-v3: contiguous views as columns, batches as views of records, and ranges of pairs as columns.

namespace prefer {

/// A view of numbers in contiguous memory (slices, take, drop of a vector): in place, never copied.
template <class R>
  requires(::ranges::view_<R> && ::ranges::contiguous_range<R const> &&
           ::ranges::sized_range<R const> && !detail::contiguous_numbers<R const> &&
           detail::is_element<::ranges::range_value_t<R>>)
struct column_traits<R> {
  static auto numbers(R const& view) {
    return std::span(::ranges::data(view), static_cast<std::size_t>(::ranges::size(view)));
  }
};

namespace detail {

[[nodiscard]] inline optional_value<double> element_or_absent(column const& c, std::size_t i) {
  return c.present() ? optional_value<double>{true, c[i]} : optional_value<double>{};
}

[[nodiscard]] inline completion_record<double> completion_at(column const& policy,
                                                             column const& reference,
                                                             column const& length, std::size_t i) {
  completion_record<double> out{.log_prob = policy[i]};
  if (reference.present()) out.reference_log_prob = reference[i];
  if (length.present()) out.completion_length = length[i];
  return out;
}

[[nodiscard]] inline pair_record<double> record_of(pair_columns const& batch, std::size_t i) {
  return {
      .chosen = completion_at(batch.policy.chosen, batch.reference.chosen, batch.length.chosen, i),
      .rejected =
          completion_at(batch.policy.rejected, batch.reference.rejected, batch.length.rejected, i),
      .pair_beta = element_or_absent(batch.beta, i),
      .pair_target_margin = element_or_absent(batch.target_margin, i)};
}
[[nodiscard]] inline unpaired_record<double> record_of(unpaired_columns const& batch,
                                                       std::size_t i) {
  unpaired_record<double> out{
      completion_at(batch.policy, batch.reference, batch.length, i), {}, {}};
  out.desirable = batch.label.present() && batch.label[i] > 0.0;
  out.example_beta = element_or_absent(batch.beta, i);
  return out;
}

}  // namespace detail

/// What a formula sees of each example of a batch, for inspection; made by records().
template <class Columns>
class record_view : public ::ranges::view_facade<record_view<Columns>, ::ranges::finite> {
 public:
  record_view() = default;
  explicit record_view(Columns const& batch) : batch_(batch) {}

 private:
  friend ::ranges::range_access;

  struct cursor {
    Columns const* batch = nullptr;
    std::size_t at = 0;

    [[nodiscard]] auto read() const { return detail::record_of(*batch, at); }
    [[nodiscard]] bool equal(cursor const& other) const { return at == other.at; }
    void next() { ++at; }
    void prev() { --at; }
    void advance(std::ptrdiff_t n) { at += static_cast<std::size_t>(n); }
    [[nodiscard]] std::ptrdiff_t distance_to(cursor const& other) const {
      return static_cast<std::ptrdiff_t>(other.at) - static_cast<std::ptrdiff_t>(at);
    }
  };
  [[nodiscard]] cursor begin_cursor() const { return {&batch_, 0}; }
  [[nodiscard]] cursor end_cursor() const { return {&batch_, batch_.size()}; }

  Columns batch_ = {};
};

/// A batch of pairs as a view of what a formula sees, for inspection:
///
///   for (auto const& [i, pair] : records(batch) | ranges::views::enumerate)
///     if (pair.log_ratio_margin() < 0.0) ...
///
/// The view copies the columns' addresses; what they point to must outlive it.
/// Errors  precondition_error for a column that is not as long as the batch
[[nodiscard]] inline record_view<pair_columns> records(pair_columns const& batch) {
  auto const check = [&](column const& c, char const* name) {
    if (c.present()) expects_size(c.size(), batch.size(), "records", name);
  };
  check(batch.policy.rejected, "policy.rejected");
  check(batch.reference.chosen, "reference.chosen");
  check(batch.reference.rejected, "reference.rejected");
  check(batch.length.chosen, "length.chosen");
  check(batch.length.rejected, "length.rejected");
  check(batch.beta, "beta");
  check(batch.target_margin, "target_margin");
  return record_view<pair_columns>(batch);
}

/// A batch of labelled completions in the same way.
[[nodiscard]] inline record_view<unpaired_columns> records(unpaired_columns const& batch) {
  auto const check = [&](column const& c, char const* name) {
    if (c.present()) expects_size(c.size(), batch.size(), "records", name);
  };
  check(batch.reference, "reference");
  check(batch.label, "label");
  check(batch.length, "length");
  check(batch.beta, "beta");
  return record_view<unpaired_columns>(batch);
}

/// Numbers of pairs in memory of their own, for columns that outlive the range they came from.
template <std::floating_point T>
struct owned_completions {
  std::vector<T> chosen;
  std::vector<T> rejected;

  /// As `.policy`, `.reference` or `.length` of pair_columns; this must outlive it.
  operator completions() const& {
    return {chosen, rejected};
  }  // NOLINT(google-explicit-constructor)
  operator completions() const&& = delete;
};

/// Any range of (chosen, rejected), materialised: pairs, tuples, what ranges::views::zip yields.
///
///   auto const policy = prefer::to_columns(rows | ranges::views::transform(score_both));
///   evaluate(nll{}, pair_columns{.policy = policy});
template <std::floating_point T = double, ::ranges::input_range R>
[[nodiscard]] owned_completions<T> to_columns(R&& pairs) {
  owned_completions<T> out;
  if constexpr (::ranges::sized_range<R>) {
    auto const n = static_cast<std::size_t>(::ranges::size(pairs));
    out.chosen.reserve(n);
    out.rejected.reserve(n);
  }
  for (auto&& pair : pairs) {
    auto const& [chosen, rejected] = pair;
    out.chosen.push_back(static_cast<T>(chosen));
    out.rejected.push_back(static_cast<T>(rejected));
  }
  return out;
}

}  // namespace prefer
