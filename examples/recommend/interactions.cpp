// SPDX-License-Identifier: MIT
#include "interactions.hpp"

#include <algorithm>

#include <prefer/data/numbering.hpp>
#include <prefer/data/preference.hpp>
#include <prefer/data/ratings.hpp>
#include <prefer/expects.hpp>

namespace recommend {

namespace {

std::size_t train_count(std::size_t events, split_rule const& rule) {
  return static_cast<std::size_t>(static_cast<double>(events) * rule.train_share);
}

void every_pair(std::vector<std::uint32_t> const& liked, std::vector<std::uint32_t> const& disliked,
                std::vector<preference>& out) {
  for (std::uint32_t const chosen : liked) {
    for (std::uint32_t const rejected : disliked) {
      if (chosen != rejected) out.push_back({chosen, rejected});
    }
  }
}

void sort_and_deduplicate(std::vector<std::uint32_t>& items) {
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
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
    std::vector<std::uint32_t> train_liked;
    std::vector<std::uint32_t> test_disliked;
    for (std::size_t i = 0; i < events.size(); ++i) {
      bool const liked = events[i].rating >= rule.liked_from;
      bool const disliked = events[i].rating <= rule.disliked_to;
      if (i < cut) {
        p.train_items.push_back(events[i].item);
        p.train_ratings.push_back(static_cast<float>(events[i].rating));
      }
      if (liked) (i < cut ? train_liked : p.test_liked).push_back(events[i].item);
      if (disliked) (i < cut ? p.train_disliked : test_disliked).push_back(events[i].item);
    }
    every_pair(train_liked, p.train_disliked, p.train_preferences);
    every_pair(p.test_liked, test_disliked, p.test_preferences);
    sort_and_deduplicate(p.train_disliked);
    data.people.push_back(std::move(p));
  }
  return checked(std::move(data), path);
}

interactions read_preferences(std::string const& path, split_rule const& rule,
                              prefer::data::reading how, prefer::data::reading_report& report) {
  prefer::data::numbering users;
  prefer::data::numbering items;
  std::vector<std::vector<preference>> history;
  interactions data;
  how.texts = prefer::data::text_use::names;
  for (prefer::data::preference_pair const& row : prefer::data::pairs(path, how, &report)) {
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
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      if (i < cut) {
        p.train_items.push_back(pairs[i].chosen);
        p.train_preferences.push_back(pairs[i]);
        p.train_disliked.push_back(pairs[i].rejected);
      } else {
        p.test_liked.push_back(pairs[i].chosen);
        p.test_preferences.push_back(pairs[i]);
      }
    }
    sort_and_deduplicate(p.test_liked);
    sort_and_deduplicate(p.train_disliked);
    data.people.push_back(std::move(p));
  }
  return checked(std::move(data), path);
}

}  // namespace recommend
