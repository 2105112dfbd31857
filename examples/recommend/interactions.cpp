// SPDX-License-Identifier: MIT
#include "interactions.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <prefer/data/numbering.hpp>
#include <prefer/data/preference.hpp>
#include <prefer/data/ratings.hpp>
#include <prefer/expects.hpp>
#include <prefer/metrics/ranking.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/order.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/text/number.hpp>

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
  std::string read;  // what counts as liked is part of why nothing is
  for (std::string const& note : data.notes) read += (read.empty() ? " (" : "; ") + note;
  if (!read.empty()) read += ")";
  if (data.people_with_preferences() == 0) {
    prefer::refuse(prefer::backend_error(
        "recommend", path,
        "nobody has both a liked and a disliked item in the first part of their "
        "history, so there is no preference to learn from" +
            read));
  }
  if (data.test_preferences() == 0) {
    prefer::refuse(prefer::backend_error(
        "recommend", path,
        "nobody has both a liked and a disliked item in the last part of their "
        "history, so there is no preference to be judged by" +
            read));
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

bool preferences::contains(preference const& one) const {
  auto const among = [](std::vector<std::uint32_t> const& items, std::uint32_t item) {
    return std::find(items.begin(), items.end(), item) != items.end();
  };
  auto const is_it = [&](preference const& each) {
    return each.chosen == one.chosen && each.rejected == one.rejected;
  };
  return std::any_of(given_.begin(), given_.end(), is_it) ||
         (among(liked_, one.chosen) && among(disliked_, one.rejected));
}

std::size_t interactions::test_preferences() const {
  std::size_t total = 0;
  for (person const& each : people) total += each.test_preferences.size();
  return total;
}

namespace {

struct event {
  std::uint32_t item;
  float rating;  // NaN where nothing was said of it
  double time;
};

/// From which rating on an item is liked, and up to which it is disliked.
struct thresholds {
  double liked_from;
  double disliked_to;
};

/// Of a scale that is known, or of the least that holds all ratings: 5, 10 or 100.
thresholds thresholds_of(split_rule const& rule, prefer::data::ratings_form const& form, double low,
                         double high) {
  if (form.scale) {
    low = form.scale->low;
    high = form.scale->high;
  } else {
    double const tops[] = {5.0, 10.0, 100.0};
    auto const* const top =
        std::find_if(std::begin(tops), std::end(tops), [&](double t) { return high <= t; });
    if (top != std::end(tops)) high = *top;
  }
  double const from = std::min(low, 0.0);
  thresholds const out = {rule.liked_from.value_or(from + 0.8 * (high - from)),
                          rule.disliked_to.value_or(from + 0.4 * (high - from))};
  if (out.liked_from > out.disliked_to) return out;
  prefer::refuse("--liked-from must be above --disliked-to, or an item would be both: found " +
                 prefer::text::shortest(out.liked_from) + " and " +
                 prefer::text::shortest(out.disliked_to));
}

/// Puts events in the order of time, equal times in that of the file, and does what the rule says of items met again.
std::size_t put_in_order(std::vector<event>& events, split_rule const& rule) {
  std::stable_sort(events.begin(), events.end(),
                   [](event const& a, event const& b) { return a.time < b.time; });
  std::unordered_map<std::uint32_t, std::size_t> count;
  for (event const& each : events) ++count[each.item];
  std::size_t const again = events.size() - count.size();
  if (again == 0 || rule.again == repeats::keep || rule.again == repeats::refused) return again;
  std::unordered_map<std::uint32_t, std::size_t> met;
  std::erase_if(events, [&](event const& each) {
    std::size_t const time = ++met[each.item];
    return time != (rule.again == repeats::first ? 1 : count[each.item]);
  });
  return again;
}

/// As many different items as are wanted, or as there are, that are not in `met`.
std::vector<std::uint32_t> draw_unmet(std::vector<std::uint32_t> met, std::size_t wanted,
                                      std::size_t items, prefer::random_stream& numbers) {
  sort_and_deduplicate(met);
  wanted = std::min(wanted, items - met.size());
  std::vector<std::uint32_t> out;
  if (2 * (met.size() + wanted) < items) {
    std::unordered_set<std::uint32_t> taken(met.begin(), met.end());
    while (out.size() < wanted) {
      auto const item = static_cast<std::uint32_t>(prefer::below(numbers, items));
      if (taken.insert(item).second) out.push_back(item);
    }
    return out;
  }
  for (std::uint32_t i = 0; i < items; ++i) {
    if (!std::binary_search(met.begin(), met.end(), i)) out.push_back(i);
  }
  prefer::shuffle(std::span(out), numbers);
  out.resize(wanted);
  return out;
}

person split(std::vector<event> const& events, thresholds const& at, split_rule const& rule) {
  std::size_t const cut = train_count(events.size(), rule);
  person p;
  opinions train;
  opinions test;
  for (std::size_t i = 0; i < events.size(); ++i) {
    auto const rating = static_cast<double>(events[i].rating);
    opinion const what = rating >= at.liked_from    ? opinion::liked
                         : rating <= at.disliked_to ? opinion::disliked
                                                    : opinion::neither;
    (i < cut ? train : test).say(events[i].item, what);
    if (i >= cut) continue;
    p.train_items.push_back(events[i].item);
    p.train_ratings.push_back(events[i].rating);
  }
  p.train_disliked = train.items(opinion::disliked);
  p.train_preferences = {train.items(opinion::liked), p.train_disliked};
  p.test_preferences = {test.items(opinion::liked), test.items(opinion::disliked)};
  sort_and_deduplicate(p.train_disliked);
  hide_and_seek(p, test.items(opinion::liked), rule);
  return p;
}

/// Of someone who gave no opinions.
person split_unrated(std::vector<event> const& events, std::size_t number, std::size_t items,
                     split_rule const& rule) {
  constexpr std::uint64_t seed = 1;  // of the reading; the study has seeds of its own
  prefer::random_stream numbers(
      {.seed = seed, .purpose = prefer::random_purpose::subset, .index = number});
  std::size_t const cut = train_count(events.size(), rule);
  person p;
  std::vector<std::uint32_t> all;
  std::vector<std::uint32_t> test;
  for (std::size_t i = 0; i < events.size(); ++i) {
    all.push_back(events[i].item);
    (i < cut ? p.train_items : test).push_back(events[i].item);
    if (i < cut) p.train_ratings.push_back(events[i].rating);
  }
  std::vector<std::uint32_t> liked = p.train_items;
  sort_and_deduplicate(liked);
  sort_and_deduplicate(test);
  p.train_disliked = draw_unmet(liked, liked.size(), items, numbers);
  auto unmet = draw_unmet(all, test.size(), items, numbers);
  p.train_preferences = {std::move(liked), p.train_disliked};
  p.test_preferences = {test, std::move(unmet)};
  sort_and_deduplicate(p.train_disliked);
  hide_and_seek(p, std::move(test), rule);
  return p;
}

}  // namespace

namespace {

void note_bad_rows(prefer::data::ratings_report const& report, std::string const& of,
                   interactions& data) {
  for (auto const& [reason, seen] : report.bad) {
    data.notes.push_back("skipped" + of + ", " + reason + ": " + to_words(seen));
  }
}

}  // namespace

interactions read_ratings(std::string const& path, split_rule const& rule,
                          prefer::data::ratings_reading const& reading) {
  prefer::data::place const at{"data::ratings", path, 0};
  prefer::data::ratings_report report;
  prefer::data::rating_reader reader(std::make_unique<prefer::data::file_bytes>(at), at, reading,
                                     &report);
  prefer::data::numbering users;
  prefer::data::numbering items;
  std::vector<std::vector<event>> history;
  interactions data;
  double low = HUGE_VAL;
  double high = -HUGE_VAL;
  for (prefer::data::rating row; reader.next(row);) {
    std::uint32_t const user = users.add(row.user);
    if (user == history.size()) history.emplace_back();
    float rating = std::numeric_limits<float>::quiet_NaN();
    if (row.is_opinion) {
      rating = static_cast<float>(row.value);
      low = std::min(low, row.value);
      high = std::max(high, row.value);
    }
    history[user].push_back({items.add(row.item), rating, row.timestamp});
    ++data.events;
  }
  data.items = items.size();
  auto const& form = reader.form();
  bool const rated = form.meaning == prefer::data::feedback::ratings;
  data.notes.push_back("read as " + form.sentence());
  note_bad_rows(report, "", data);
  thresholds limits{};
  if (rated) {
    limits = thresholds_of(rule, form, low, high);
    data.notes.push_back("ratings from " + prefer::text::shortest(low) + " to " +
                         prefer::text::shortest(high) + ": liked from " +
                         prefer::text::shortest(limits.liked_from) + ", disliked to " +
                         prefer::text::shortest(limits.disliked_to));
  } else {
    data.notes.push_back(
        "no opinions: what was met is liked, and as many items that were not, drawn at random, "
        "stand for the disliked");
  }
  std::size_t again = 0;
  for (std::size_t u = 0; u < history.size(); ++u) {
    std::size_t const own = put_in_order(history[u], rule);
    again += own;
    if (own != 0 && rule.again == repeats::refused) {
      prefer::refuse(prefer::backend_error(
          "recommend", path,
          "person " + prefer::data::in_quotes(users.text(static_cast<std::uint32_t>(u))) +
              " has an item more than once, which --repeats refused does not allow"));
    }
    data.people.push_back(rated ? split(history[u], limits, rule)
                                : split_unrated(history[u], u, data.items, rule));
    data.people.back().name = users.text(static_cast<std::uint32_t>(u));
    history[u] = {};
  }
  if (again != 0) {
    data.notes.push_back(std::to_string(again) +
                         " rows are of an item that their person has met: " +
                         (rule.again == repeats::first  ? "the first counts"
                          : rule.again == repeats::last ? "the last counts"
                                                        : "each is learned from, and the last "
                                                          "within a part is the opinion"));
  }
  return checked(std::move(data), path);
}

interactions read_preferences(std::string const& path, split_rule const& rule,
                              prefer::data::reading how, prefer::data::reading_report* report) {
  prefer::data::numbering users;
  prefer::data::numbering items;
  std::vector<std::vector<preference>> history;
  interactions data;
  how.texts = prefer::data::text_use::names;
  for (prefer::data::preference_pair const& row : prefer::data::pairs(path, how, report)) {
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
  for (std::uint32_t u = 0; u < history.size(); ++u) {
    auto const& pairs = history[u];
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
    p.name = users.text(u);
    p.train_preferences = preferences(std::move(train));
    p.test_preferences = preferences(std::move(test));
    sort_and_deduplicate(p.train_disliked);
    hide_and_seek(p, std::move(liked), rule);
    data.people.push_back(std::move(p));
  }
  return checked(std::move(data), path);
}

void read_groups(std::string const& path, prefer::data::ratings_reading reading,
                 interactions& data) {
  std::unordered_map<std::string, std::size_t> number;
  for (std::size_t p = 0; p < data.people.size(); ++p) number.emplace(data.people[p].name, p);
  reading.meaning = prefer::data::feedback::pairs;
  prefer::data::numbering groups;
  std::size_t known = 0;
  prefer::data::ratings_report report;
  for (prefer::data::rating const& row : prefer::data::ratings(path, reading, &report)) {
    auto const found = number.find(row.user);
    if (found == number.end()) continue;
    auto& group = data.people[found->second].group;
    std::uint32_t const own = groups.add(row.item);
    if (group && *group != own) {
      prefer::refuse(
          prefer::backend_error("recommend", path + ":" + std::to_string(row.line),
                                "person " + prefer::data::in_quotes(row.user) + " is in group " +
                                    prefer::data::in_quotes(groups.text(*group)) +
                                    " and in group " + prefer::data::in_quotes(row.item)));
    }
    known += group ? 0 : 1;
    group = own;
  }
  if (known == 0) {
    prefer::refuse(prefer::backend_error(
        "recommend", path, "nobody of the data is in it; expected people and groups"));
  }
  note_bad_rows(report, " of the groups", data);
  data.groups = static_cast<std::uint32_t>(groups.size());
  data.notes.push_back(std::to_string(known) + " of " + std::to_string(data.people.size()) +
                       " people are in " + std::to_string(data.groups) + " groups");
}

}  // namespace recommend
