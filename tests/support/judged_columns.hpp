// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include <prefer/batch/columns.hpp>

// A kind of columns that only tests know: pairs with two columns that the library has never heard of. What it takes is
// what a new column takes in batch/columns.hpp: a name, a description, a member and a place in the record.

namespace prefer::test {

inline constexpr auto harm_name = static_cast<column_name>(1u << 20);
inline constexpr auto urgency_name = static_cast<column_name>(1u << 21);

/// how harmful a judge found a completion
inline constexpr column_description<harm_name, column_rule::non_negative> harm{"harm"};
/// how urgent a judge found the pair
inline constexpr column_description<urgency_name, column_rule::positive> urgency{"urgency"};

template <class S>
struct judged_completion {
  S log_prob = S(0.0);
  S reference_log_prob = S(0.0);
  S harm_found = S(0.0);

  static constexpr void describe(auto& self, auto&& visit) {
    visit(described::policy, self.log_prob);
    visit(described::reference, self.reference_log_prob);
    visit(harm, self.harm_found);
  }
};
template <class S>
struct judged_record {
  judged_completion<S> chosen;
  judged_completion<S> rejected;
  detail::optional_value<S> urgency_found = {};

  static constexpr void describe(auto& self, auto&& visit) { visit(urgency, self.urgency_found); }
};

template <class C>
struct basic_judged_columns {
  basic_completions<C> policy;
  basic_completions<C> reference = {};
  basic_completions<C> harm = {};
  C weight = {};
  C urgency = {};

  static constexpr void describe(auto& self, auto&& visit) {
    visit(described::policy, per::completion, self.policy);
    visit(described::reference, per::completion, self.reference);
    visit(test::harm, per::completion, self.harm);
    visit(described::weight, per::example, self.weight);
    visit(test::urgency, per::example, self.urgency);
  }
  [[nodiscard]] constexpr std::size_t size() const { return policy.chosen.size(); }
  [[nodiscard]] constexpr std::size_t rows(per) const { return size(); }
  [[nodiscard]] constexpr column_set available() const { return detail::columns_present(*this); }
};
using judged_columns = basic_judged_columns<column>;

}  // namespace prefer::test
