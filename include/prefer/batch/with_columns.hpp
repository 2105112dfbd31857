// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/batch/each_column.hpp>
#include <prefer/expects.hpp>
#include <prefer/scalar/probe.hpp>

namespace prefer::inline v0_1 {

/// A batch that promises at compile time which columns it has, so that a loss which reads another one is
/// a compile error. The promise is checked against the columns once, when it is made.
///
///   using sums_only = with_columns<column_name::policy | column_name::reference, pair_columns>;
template <column_set Promised, class Columns>
class with_columns {
 public:
  static constexpr column_set promised = Promised;

  explicit with_columns(Columns const& columns) : columns_(columns) {
    if (!columns.available().contains(Promised)) {
      detail::broken("with_columns: promised " + to_string_of<Columns>(Promised) +
                     "; missing: " + to_string_of<Columns>(Promised - columns.available()));
    }
  }
  [[nodiscard]] Columns const& columns() const { return columns_; }

 private:
  Columns columns_;
};

}  // namespace prefer::inline v0_1
