// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <type_traits>

#include <prefer/batch/columns.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/scalar/probe.hpp>

// Records of probes: what a formula is given to find out which columns it reads.

namespace prefer::inline v0_1 {

namespace detail {

/// Fills a record's members with the probe of their columns.
template <class Record>
[[nodiscard]] constexpr Record with_probes(Record record) {
  Record::describe(record, [](auto is, auto& member) {
    if constexpr (is.name == column_name::policy) {
      return;  // the side that it is of is known to the caller
    } else if constexpr (std::is_same_v<decltype(member), probe&>) {
      member = probe::column(is.name);
    } else {
      member = {.present = true, .value = probe::column(is.name)};
    }
  });
  return record;
}
template <class = on_demand>
[[nodiscard]] constexpr completion_record<probe> probe_completion(probe log_prob) {
  return with_probes(completion_record<probe>{.log_prob = log_prob});
}
[[nodiscard]] constexpr probe probe_chosen() { return probe::chosen(column_name::policy); }
[[nodiscard]] constexpr probe probe_rejected() { return probe::rejected(column_name::policy); }

template <class = on_demand>
[[nodiscard]] constexpr pair_record<probe> probe_pair() {
  return with_probes(pair_record<probe>{.chosen = probe_completion(probe_chosen()),
                                        .rejected = probe_completion(probe_rejected())});
}
template <class = on_demand>
[[nodiscard]] constexpr unpaired_record<probe> probe_unpaired() {
  return with_probes(unpaired_record<probe>{probe_completion(probe_chosen()), {}, {}});
}
struct probe_list_at {
  template <class = on_demand>
  constexpr completion_record<probe> operator()(std::size_t) const {
    return probe_completion(probe_chosen());
  }
};
template <class = on_demand>
[[nodiscard]] constexpr list_record<probe, probe_list_at> probe_list(std::size_t size) {
  return with_probes(list_record<probe, probe_list_at>(size, {}));
}

}  // namespace detail

}  // namespace prefer::inline v0_1
