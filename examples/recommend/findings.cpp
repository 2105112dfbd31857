// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "interactions.hpp"

namespace recommend {

std::size_t interactions::learned_and_judged() const {
  std::size_t total = 0;
  for (person const& each : people) {
    for (std::size_t k = 0; k < each.test_preferences.size(); ++k) {
      total += each.train_preferences.contains(each.test_preferences[k]);
    }
  }
  return total;
}

std::size_t interactions::contradicted_preferences() const {
  std::size_t total = 0;
  for (person const& each : people) {
    auto const& given = each.train_preferences.given();
    prefer::data::preference_order const order(given);
    total += static_cast<std::size_t>(std::count_if(
        given.begin(), given.end(), [&](preference const& p) { return order.contradicts(p); }));
  }
  return total;
}

std::vector<prefer::data::audit_finding> interactions::findings() const {
  using prefer::data::severity;
  std::vector<prefer::data::audit_finding> found;
  if (std::size_t const against = contradicted_preferences(); against != 0) {
    found.push_back(
        {severity::warning, "contradictions", "train",
         std::to_string(against) +
             " preferences to learn from are contradicted by others of the same person, directly "
             "or along a chain; they are learned from, and no negative of a list follows from "
             "them"});
  }
  std::size_t const known = learned_and_judged();
  std::size_t const all = test_preferences();
  if (known == 0) return found;
  if (known == all && people_with_something_to_find() == 0) {
    found.push_back({severity::error, "overlap", "test",
                     "every one of the " + std::to_string(all) +
                         " held-out preferences is also among those to learn from, of the same "
                         "person, and nobody has anything to find: there is nothing to judge by; "
                         "--met-again ranks what was met, too"});
  } else {
    found.push_back({severity::warning, "overlap", "test",
                     std::to_string(known) + " of " + std::to_string(all) +
                         " held-out preferences are also among those to learn from, of the same "
                         "person: their accuracy is partly that of what was learned"});
  }
  return found;
}

}  // namespace recommend
