// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <prefer/data/audit_findings.hpp>
#include <prefer/data/comparisons.hpp>
#include <prefer/data/ratings_form.hpp>
#include <prefer/data/reading.hpp>

namespace recommend {

/// A preference of one person: `chosen` over `rejected`.
using preference = prefer::data::comparison;

/// The preferences of one person: those that were given, or every liked item over every disliked one, which are held as
/// what they come from, so that memory grows with what a person did and not with its square.
class preferences {
 public:
  preferences() = default;
  explicit preferences(std::vector<preference> given) : given_(std::move(given)) {}
  preferences(std::vector<std::uint32_t> liked, std::vector<std::uint32_t> disliked)
      : liked_(std::move(liked)), disliked_(std::move(disliked)) {}

  [[nodiscard]] std::size_t size() const {
    return given_.size() + liked_.size() * disliked_.size();
  }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] preference operator[](std::size_t k) const {
    if (!given_.empty()) return given_[k];
    return {liked_[k / disliked_.size()], disliked_[k % disliked_.size()]};
  }
  /// Those that were given: of them alone something may follow along a chain.
  [[nodiscard]] std::vector<preference> const& given() const { return given_; }
  [[nodiscard]] bool contains(preference const& one) const;

 private:
  std::vector<preference> given_;
  std::vector<std::uint32_t> liked_;
  std::vector<std::uint32_t> disliked_;
};

/// What one person did, split by time: the first part to learn from, the rest to be judged by.
struct person {
  std::string name;
  std::optional<std::uint32_t> group = {};  ///< by number; nobody has one unless groups were read
  std::vector<std::uint32_t> train_items;   ///< in the order of time, again where met again
  std::vector<float> train_ratings;         ///< of them; empty where preferences were read
  preferences train_preferences;
  std::vector<std::uint32_t> train_disliked;  ///< different items, ascending
  std::vector<std::uint32_t> hidden;   ///< what a ranking leaves out: different items, ascending
  std::vector<std::uint32_t> to_find;  ///< liked in the last part and not hidden; as `hidden`
  preferences test_preferences;
};

/// The data of a study: people and items by number.
struct interactions {
  std::vector<person> people;
  std::size_t items = 0;
  std::uint32_t groups = 0;
  std::size_t events = 0;               ///< ratings, or preferences read from JSONL
  std::vector<std::string> notes = {};  ///< how the file was read, in sentences

  [[nodiscard]] std::size_t train_events() const;
  [[nodiscard]] std::size_t people_with_preferences() const;
  /// Held-out preferences that the same person's part to learn from has too: what was learned from is judged on.
  [[nodiscard]] std::size_t learned_and_judged() const;
  [[nodiscard]] std::size_t people_with_something_to_find() const;
  [[nodiscard]] std::size_t test_preferences() const;
  /// Preferences to learn from that others of the same person contradict, directly or along a chain.
  [[nodiscard]] std::size_t contradicted_preferences() const;
  /// What of these a later number depends on: a warning, or an error where the result would mean nothing.
  [[nodiscard]] std::vector<prefer::data::audit_finding> findings() const;
};

/// What becomes of an item that a person rated more than once.
enum class repeats {
  keep,    ///< each is learned from; the last within a part says whether the item is liked
  first,   ///< only the first counts
  last,    ///< only the last counts
  refused  ///< the file is refused
};

/// Which ratings are likes and dislikes, where time is cut, and what a ranking may show.
struct split_rule {
  std::optional<double> liked_from = {};   ///< else 80 % of the scale's top: 4 of 5, 8 of 10
  std::optional<double> disliked_to = {};  ///< else 40 % of it: 2 of 5, 4 of 10
  double train_share = 0.8;
  bool met_again = false;  ///< whether items of the first part stay in the ranking
  repeats again = repeats::keep;
};

/// Reads an interaction file in any form that prefer::data::ratings reads: each person's first ratings by time train, the
/// rest test. Within a part the last rating of an item says whether it is liked or disliked; preferences are all pairs of a
/// liked and a disliked item.
///
/// Without opinions (counts, mere pairs) what was met is liked, and as many items that were not met, drawn at random, stand
/// for the disliked: in the first part items not met in it, in the last part items not met at all.
///
/// Errors  prefer::backend_error with file and line; also where nobody has any preference to learn from, or to be judged
///         by; precondition_error where likes begin no higher than dislikes end
[[nodiscard]] interactions read_ratings(std::string const& path, split_rule const& rule,
                                        prefer::data::ratings_reading const& reading = {});

/// Reads a JSONL preference file (prompt, chosen, rejected): a prompt is a person, a text an item, and the order of lines
/// is time. What was chosen in the last part is to be found, unless it was chosen in the first part already. A row of any
/// form with one text on each side will do; `how` says which, and `report` counts.
[[nodiscard]] interactions read_preferences(std::string const& path, split_rule const& rule,
                                            prefer::data::reading how = {},
                                            prefer::data::reading_report* report = nullptr);

/// Reads which group people belong to: a file of people and groups, in any form that prefer::data::ratings reads, the group
/// in the place of the item. People who are not in the data are passed over.
///
/// Errors  prefer::backend_error with file and line; also where nobody of the data is in it
void read_groups(std::string const& path, prefer::data::ratings_reading reading,
                 interactions& data);

}  // namespace recommend
