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

#include <prefer/batch/check_columns.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/load_record.hpp>

// range-v3: contiguous views as columns, batches as views of records, and ranges of pairs as columns.

namespace prefer::inline v0_1 {

/// A view of numbers in contiguous memory (slices, take, drop of a vector): in place, never copied. Not std::span, which is
/// a view here too, but a column as it is.
template <class R>
  requires(::ranges::view_<R> && ::ranges::contiguous_range<R const> &&
           ::ranges::sized_range<R const> && detail::is_element<::ranges::range_value_t<R>> &&
           !detail::known_as_contiguous<R>)
struct column_traits<R> {
  static constexpr bool borrowed = true;

  static auto numbers(R const& view) {
    return std::span(::ranges::data(view), static_cast<std::size_t>(::ranges::size(view)));
  }
};

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

    [[nodiscard]] auto read() const { return record_at(*batch, at); }
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

/// A batch of pairs, or of labelled completions, as a view of what a formula sees, for inspection:
///
///   for (auto const& [i, pair] : records(batch) | ranges::views::enumerate)
///     if (pair.log_ratio_margin() < 0.0) ...
///
/// The view copies the columns' addresses; what they point to must outlive it.
/// Errors  precondition_error for a column that is not as long as the batch, or is there for one side only
template <class Columns>
  requires std::same_as<Columns, pair_columns> || std::same_as<Columns, unpaired_columns>
[[nodiscard]] record_view<Columns> records(Columns const& batch) {
  detail::check_sides(batch, "records");
  detail::check_sizes(batch, "records");
  return record_view<Columns>(batch);
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

}  // namespace prefer::inline v0_1
