// SPDX-License-Identifier: MIT
#include "interactions.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include <prefer/data/numbering.hpp>
#include <prefer/data/preference.hpp>
#include <prefer/data/ratings.hpp>
#include <prefer/expects.hpp>
#include <prefer/metrics/ranking.hpp>

namespace recommend {

namespace {

enum class opinion { neither, liked, disliked };

std::size_t train_count(std::size_t events, split_rule const& rule) {
  return static_cast<std::size_t>(static_cast<double>(events) * rule.train_share);
}

/// Keeps what was said last of each item, in the order in which items were first met.
class opinions {
 public:
  void say(std::uint32_t item, opinion what) {
    auto const [known, is_new] = place_.try_emplace(item, said_.size());
    if (is_new) {
      said_.push_back({item, what});
    } else {
      said_[known->second].second = what;
    }
  }
  [[nodiscard]] std::vector<std::uint32_t> items(opinion what) const {
    std::vector<std::uint32_t> out;
    for (auto const& [item, said] : said_) {
      if (said == what) out.push_back(item);
    }
    return out;
  }

 private:
  std::vector<std::pair<std::uint32_t, opinion>> said_;
  std::unordered_map<std::uint32_t, std::size_t> place_;
};

void sort_and_deduplicate(std::vector<std::uint32_t>& items) {
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
}

/// What a ranking hides is not to be found in it.
void hide_and_seek(person& someone, std::vector<std::uint32_t> liked, split_rule const& rule) {
  sort_and_deduplicate(liked);
  if (!rule.met_again) {
    someone.hidden = someone.train_items;
    sort_and_deduplicate(someone.hidden);
  }
  someone.to_find = prefer::items_not_in(liked, someone.hidden);
}

interactions checked(interactions data, std::string const& path) {
  if (data.people_with_preferences() == 0) {
    prefer::refuse(prefer::backend_error(
        "recommend", path,
        "nobody has both a liked and a disliked item in the first part of their "
        "history, so there is no preference to learn from"));
  }
  if (data.test_preferences() == 0) {
    prefer::refuse(prefer::backend_error(
        "recommend", path,
        "nobody has both a liked and a disliked item in the last part of their "
        "history, so there is no preference to be judged by"));
  }
  return data;
}

}  // namespace

std::size_t interactions::train_events() const {
  std::size_t total = 0;
  for (person const& each : people) total += each.train_items.size();
  return total;
}

std::size_t interactions::people_with_preferences() const {
  return static_cast<std::size_t>(std::count_if(
      people.begin(), people.end(), [](person const& p) { return !p.train_preferences.empty(); }));
}

std::size_t interactions::people_with_something_to_find() const {
  return static_cast<std::size_t>(std::count_if(
      people.begin(), people.end(), [](person const& p) { return !p.to_find.empty(); }));
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

std::size_t interactions::test_preferences() const {
  std::size_t total = 0;
  for (person const& each : people) total += each.test_preferences.size();
  return total;
}

interactions read_ratings(std::string const& path, split_rule const& rule) {
  struct event {
    std::uint32_t item;
    double rating;
    double time;
  };
  prefer::data::numbering users;
  prefer::data::numbering items;
  std::vector<std::vector<event>> history;
  interactions data;
  for (prefer::data::rating const& row : prefer::data::ratings(path)) {
    std::uint32_t const user = users.add(row.user);
    if (user == history.size()) history.emplace_back();
    history[user].push_back({items.add(row.item), row.value, row.timestamp});
    ++data.events;
  }
  data.items = items.size();
  for (auto& events : history) {
    // Equal times stay in the order of the file.
    std::stable_sort(events.begin(), events.end(),
                     [](event const& a, event const& b) { return a.time < b.time; });
    std::size_t const cut = train_count(events.size(), rule);
    person p;
    opinions train;
    opinions test;
    for (std::size_t i = 0; i < events.size(); ++i) {
      bool const liked = events[i].rating >= rule.liked_from;
      bool const disliked = events[i].rating <= rule.disliked_to;
      (i < cut ? train : test)
          .say(events[i].item, liked      ? opinion::liked
                               : disliked ? opinion::disliked
                                          : opinion::neither);
      if (i >= cut) continue;
      p.train_items.push_back(events[i].item);
      p.train_ratings.push_back(static_cast<float>(events[i].rating));
    }
    p.train_disliked = train.items(opinion::disliked);
    p.train_preferences = {train.items(opinion::liked), p.train_disliked};
    p.test_preferences = {test.items(opinion::liked), test.items(opinion::disliked)};
    sort_and_deduplicate(p.train_disliked);
    hide_and_seek(p, test.items(opinion::liked), rule);
    data.people.push_back(std::move(p));
  }
  return checked(std::move(data), path);
}

interactions read_preferences(std::string const& path, split_rule const& rule) {
  prefer::data::numbering users;
  prefer::data::numbering items;
  std::vector<std::vector<preference>> history;
  interactions data;
  for (prefer::data::preference_pair const& row : prefer::data::pairs(path)) {
    auto const text = [&](prefer::data::turns const& part, char const* name) {
      if (!part.is_text()) {
        prefer::refuse(prefer::backend_error(
            "recommend", path + ":" + std::to_string(row.line),
            std::string("field \"") + name +
                "\" holds messages; expected a text that names a person or an item"));
      }
      return part.text();
    };
    std::uint32_t const user = users.add(text(row.prompt, "prompt"));
    if (user == history.size()) history.emplace_back();
    history[user].push_back(
        {items.add(text(row.chosen, "chosen")), items.add(text(row.rejected, "rejected"))});
    ++data.events;
  }
  data.items = items.size();
  for (auto const& pairs : history) {
    std::size_t const cut = train_count(pairs.size(), rule);
    person p;
    std::vector<preference> test;
    std::vector<preference> train;
    std::vector<std::uint32_t> liked;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      if (i < cut) {
        train.push_back(pairs[i]);
        p.train_items.push_back(pairs[i].chosen);
        p.train_disliked.push_back(pairs[i].rejected);
      } else {
        test.push_back(pairs[i]);
        liked.push_back(pairs[i].chosen);
      }
    }
    p.train_preferences = preferences(std::move(train));
    p.test_preferences = preferences(std::move(test));
    sort_and_deduplicate(p.train_disliked);
    hide_and_seek(p, std::move(liked), rule);
    data.people.push_back(std::move(p));
  }
  return checked(std::move(data), path);
}

}  // namespace recommend
