// SPDX-License-Identifier: MIT
#include "popularity.hpp"

namespace recommend {

namespace {

std::vector<std::uint32_t> rows_of_groups(interactions const& data) {
  std::vector<std::uint32_t> out;
  for (person const& each : data.people) out.push_back(each.group.value_or(data.groups));
  return out;
}

std::vector<std::uint32_t> rows_of_people(interactions const& data) {
  std::vector<std::uint32_t> out;
  for (std::uint32_t x = 0; x < data.people.size(); ++x) out.push_back(x);
  return out;
}

}  // namespace

personal_references::personal_references(interactions const& data)
    : all_(data),
      groups_(data, rows_of_groups(data), all_, weight_of_everybody),
      people_(data, rows_of_people(data), groups_, weight_of_group) {
  for (person const& each : data.people) {
    std::uint32_t const of_group = each.group ? 1 : 0;
    by_group_.push_back(of_group);
    by_person_.push_back(each.train_items.size() < cold_below ? of_group : 2);
  }
}

per_group personal_references::of_groups() const { return per_group(by_group_, all_, groups_); }

per_person personal_references::of_people() const {
  return per_person(by_person_, all_, groups_, people_);
}

std::vector<std::size_t> personal_references::counts() const {
  std::vector<std::size_t> out(3);
  for (std::uint32_t const which : by_person_) ++out[2 - which];
  return out;
}

}  // namespace recommend
