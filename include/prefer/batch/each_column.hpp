// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>

#include <prefer/batch/columns.hpp>
#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/scalar/probe.hpp>

// What is done to every column of a batch alike, whatever kind of columns it is.

namespace prefer::inline v0_1 {

namespace detail {

/// Calls visit(description, per, side, column) for every single column, those of pairs in twos, chosen first.
template <class Columns, class Visit>
constexpr void for_each_column(Columns& batch, Visit&& visit) {
  std::remove_const_t<Columns>::describe(batch, [&](auto is, per each, auto& member) {
    if constexpr (requires { member.rejected; }) {
      visit(is, each, column_side::chosen, member.chosen);
      visit(is, each, column_side::rejected, member.rejected);
    } else {
      visit(is, each, column_side::only, member);
    }
  });
}

/// "length.rejected", for messages.
template <class = on_demand>
[[nodiscard]] std::string label_of(char const* spelling, column_side side) {
  std::string label = spelling;
  if (side == column_side::chosen) label += ".chosen";
  if (side == column_side::rejected) label += ".rejected";
  return label;
}

/// A kind of columns without columns, to count and find its members in constant expressions.
struct no_column {
  using offsets = std::span<std::size_t const>;

  [[nodiscard]] constexpr bool present() const { return false; }
  [[nodiscard]] constexpr std::size_t size() const { return 0; }
};
template <class Columns>
struct layout_of;
template <template <class> class Kind, class C>
struct layout_of<Kind<C>> {
  using type = Kind<no_column>;
};

template <class Columns>
using layout = typename layout_of<Columns>::type;

/// The names of a kind's columns.
template <class Columns>
[[nodiscard]] consteval column_set names_of() {
  layout<Columns> const of_nothing{};
  column_set names;
  for_each_column(of_nothing,
                  [&](auto is, per, column_side, auto const&) { names = names | is.name; });
  return names;
}

/// The columns that the records of a batch are made from, all but those of other completions, in the order of the
/// description; those of pairs in twos, chosen first. Listed once for each kind of columns.
template <class Columns>
class input_list {
 public:
  constexpr input_list() {
    layout<Columns> const of_nothing{};
    layout<Columns>::describe(of_nothing, *this);
  }

  constexpr void operator()(column_name name, per each, no_column const& /*one*/) {
    add(name, each, column_side::only);
  }
  constexpr void operator()(column_name name, per each,
                            basic_completions<no_column> const& /*two*/) {
    add(name, each, column_side::chosen);
    add(name, each, column_side::rejected);
  }

  [[nodiscard]] constexpr std::size_t size() const { return size_; }
  /// Where a column stands; size() where this kind has no such column.
  [[nodiscard]] constexpr std::size_t find(column_name name, column_side side) const {
    std::size_t at = 0;
    while (at < size_ && (name_[at] != name || side_[at] != side)) ++at;
    return at;
  }

 private:
  constexpr void add(column_name name, per each, column_side side) {
    if (each == per::kl_example) return;
    name_[size_] = name;
    side_[size_] = side;
    ++size_;
  }

  static constexpr std::size_t most = 64;  // two for each bit of column_name
  column_name name_[most] = {};
  column_side side_[most] = {};
  std::size_t size_ = 0;
};
template <class Columns>
inline constexpr input_list<Columns> inputs;

template <class Columns>
inline constexpr std::size_t inputs_of = inputs<Columns>.size();

/// Where a column stands among them; inputs_of<Columns> where this kind has no such column.
template <class Columns, column_name Name, column_side Side = column_side::only>
inline constexpr std::size_t input_of = inputs<Columns>.find(Name, Side);

/// Adds the names of a kind's columns in `set` that are not in it yet, in its order.
template <class Columns>
void spell_columns(column_set set, column_set& spelled, std::string& out) {
  layout<Columns> const of_nothing{};
  layout<Columns>::describe(of_nothing, [&](auto is, per, auto const&) {
    if (!set.contains(is.name) || spelled.contains(is.name)) return;
    spelled = spelled | is.name;
    if (!out.empty()) out += ", ";
    out += is.spelling;
  });
}

}  // namespace detail

/// "policy, reference", for messages about columns of these kinds.
template <class... Kinds>
[[nodiscard]] std::string to_string_of(column_set set) {
  std::string out;
  column_set spelled;
  (detail::spell_columns<Kinds>(set, spelled, out), ...);
  return out;
}
template <class = on_demand>
[[nodiscard]] std::string to_string(column_set set) {
  return to_string_of<pair_columns, unpaired_columns, list_columns>(set);
}

}  // namespace prefer::inline v0_1
