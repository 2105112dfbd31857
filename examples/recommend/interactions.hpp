// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <prefer/data/reading.hpp>

namespace recommend {

/// A preference of one person: `chosen` over `rejected`.
struct preference {
  std::uint32_t chosen = 0;
  std::uint32_t rejected = 0;
};

/// What one person did, split by time: the first part to learn from, the rest to be judged by.
struct person {
  std::vector<std::uint32_t> train_items;  ///< in the order of time; a ranking leaves them out
  std::vector<float> train_ratings;        ///< of them; empty where preferences were read
  std::vector<preference>
      train_preferences;  ///< a liked item of the first part over a disliked one
  std::vector<std::uint32_t> train_disliked;  ///< different items
  std::vector<std::uint32_t> test_liked;      ///< what a good ranking has on top
  std::vector<preference> test_preferences;
};

/// The data of a study: people and items by number.
struct interactions {
  std::vector<person> people;
  std::size_t items = 0;
  std::size_t events = 0;  ///< ratings, or preferences read from JSONL

  [[nodiscard]] std::size_t train_events() const;
  [[nodiscard]] std::size_t people_with_preferences() const;
  [[nodiscard]] std::size_t test_preferences() const;
};

/// Which ratings are likes and dislikes, and where time is cut.
struct split_rule {
  double liked_from = 4.0;
  double disliked_to = 2.0;
  double train_share = 0.8;
};

/// Reads an interaction file (tab-separated, with user_id, item_id, rating and timestamp): each person's
/// first ratings by time train, the rest test. Preferences are all pairs of a liked and a disliked item.
///
/// Errors  prefer::backend_error with file and line; also where nobody has any preference to learn from, or
///         to be judged by
[[nodiscard]] interactions read_ratings(std::string const& path, split_rule const& rule);

/// Reads a JSONL preference file (prompt, chosen, rejected): a prompt is a person, a text an item, and the
/// order of lines is time.
///
/// A row of any form with one text on each side will do; `how` says which, and `report` counts.
[[nodiscard]] interactions read_preferences(std::string const& path, split_rule const& rule,
                                            prefer::data::reading how,
                                            prefer::data::reading_report& report);

}  // namespace recommend
