// SPDX-License-Identifier: MIT
#include "ranking.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <prefer/data/message_json.hpp>
#include <prefer/data/preference.hpp>
#include <prefer/expects.hpp>
#include <prefer/text/number.hpp>

#include "../program/json.hpp"

namespace make_pairs {

namespace {

namespace data = prefer::data;
using sample::completion;

bool is_blank(std::string const& text) {
  return text.find_first_not_of(" \t\r\n") == std::string::npos;
}

program::json parsed(data::turns const& part) { return program::json::parse(data::to_json(part)); }

// How far `better` is above `worse`.
double margin(completion const& better, completion const& worse) {
  return *better.score - *worse.score;
}

bool reads_as(std::string const& row, data::preference_pair const& meant) {
  try {
    std::vector<data::preference_pair> found;
    for (auto const& pair : data::pairs_in(row)) found.push_back(pair);
    return found.size() == 1 && found.front().prompt == meant.prompt &&
           found.front().chosen == meant.chosen && found.front().rejected == meant.rejected;
  } catch (prefer::backend_error const&) {
    return false;
  }
}

bool reads_as_list(std::string const& row, data::turns const& prompt, std::size_t completions) {
  try {
    std::vector<data::scored_completions> found;
    for (auto const& list : data::scored_in(row)) found.push_back(list);
    return found.size() == 1 && found.front().prompt == prompt &&
           found.front().completions.size() == completions;
  } catch (prefer::backend_error const&) {
    return false;
  }
}

// Rows, or nothing where they would not be read as they are meant.

std::string pair_row(data::turns const& prompt, ranked_group const& group) {
  completion const& chosen = *group.front();
  completion const& rejected = *group.back();
  data::preference_pair pair;
  pair.prompt = prompt;
  pair.chosen = sample::turns_of(prompt, chosen.text);
  pair.rejected = sample::turns_of(prompt, rejected.text);
  pair.score_chosen = chosen.score;
  pair.score_rejected = rejected.score;
  std::string row = data::to_json(pair);
  return reads_as(row, pair) ? row : "";
}

std::string list_row(data::turns const& prompt, ranked_group const& best_first) {
  program::json row = {{"prompt", parsed(prompt)},
                       {"completions", program::json::array()},
                       {"scores", program::json::array()}};
  for (completion const* each : best_first) {
    row["completions"].push_back(parsed(sample::turns_of(prompt, each->text)));
    row["scores"].push_back(program::number(*each->score));
  }
  std::string text = row.dump();
  return reads_as_list(text, prompt, best_first.size()) ? text : "";
}

}  // namespace

std::vector<completion const*> ranking::usable(sample::answers const& of_prompt) {
  std::vector<completion const*> out;
  for (completion const& one : of_prompt.completions) {
    ++tally_.completions;
    prefer::expects(one.score.has_value(), "ranking: a completion has no score");
    auto const same = [&](completion const* other) { return other->text == one.text; };
    if (is_blank(one.text)) {
      ++tally_.blank;
    } else if (sample::has_replacement(one.text)) {
      ++tally_.broken;
    } else if (!one.ended && !options_.keep_unfinished) {
      ++tally_.unfinished;
    } else if (std::any_of(out.begin(), out.end(), same)) {
      ++tally_.repeated;
    } else {
      out.push_back(&one);
    }
  }
  std::stable_sort(out.begin(), out.end(),
                   [](completion const* a, completion const* b) { return *a->score > *b->score; });
  return out;
}

std::vector<ranked_group> ranking::find_groups(sample::answers const& of_prompt) {
  ++tally_.prompts;
  auto const best_first = usable(of_prompt);
  std::vector<ranked_group> out;
  if (best_first.size() < 2) {
    ++tally_.alone;
    return out;
  }
  auto const apart = [&](completion const* better, completion const* worse) {
    return margin(*better, *worse) > options_.min_margin;
  };
  if (options_.form == row_form::all_pairs) {
    for (std::size_t i = 0; i != best_first.size(); ++i) {
      for (std::size_t j = i + 1; j != best_first.size(); ++j) {
        if (apart(best_first[i], best_first[j])) {
          out.push_back({best_first[i], best_first[j]});
        } else {
          ++tally_.tied;
        }
      }
    }
    return out;
  }
  if (!apart(best_first.front(), best_first.back())) {
    ++tally_.tied;
  } else if (options_.form == row_form::list) {
    ranked_group list;
    for (completion const* each : best_first) {
      if (list.empty() || apart(list.back(), each)) list.push_back(each);
    }
    out.push_back(std::move(list));
  } else {
    // Of several that are the worst, the first.
    auto const worst = std::find_if(best_first.begin(), best_first.end(), [&](completion const* c) {
      return *c->score == *best_first.back()->score;
    });
    out.push_back({best_first.front(), *worst});
  }
  return out;
}

std::vector<ranked_group> ranking::groups_of(sample::answers const& of_prompt) {
  auto out = find_groups(of_prompt);
  for (auto const& each : out) count(each);
  return out;
}

std::vector<std::string> ranking::rows_of(sample::answers const& of_prompt) {
  std::vector<std::string> rows;
  for (auto const& each : find_groups(of_prompt)) {
    auto row = options_.form == row_form::list ? list_row(of_prompt.prompt, each)
                                               : pair_row(of_prompt.prompt, each);
    if (row.empty()) {
      ++tally_.unreadable;
      continue;
    }
    rows.push_back(std::move(row));
    count(each);
  }
  return rows;
}

void ranking::count(ranked_group const& group) {
  completion const& best = *group.front();
  completion const& worst = *group.back();
  ++tally_.rows;
  tally_.score_best += *best.score;
  tally_.score_worst += *worst.score;
  tally_.tokens_best += static_cast<double>(best.tokens);
  tally_.tokens_worst += static_cast<double>(worst.tokens);
}

std::vector<std::string> to_sentences(tally const& of, row_form form) {
  std::vector<std::string> out;
  auto const say = [&](std::size_t count, char const* what) {
    if (count != 0) out.push_back(std::string(what) + ": " + std::to_string(count));
  };
  auto const mean = [&](double sum, int digits) {
    return prefer::text::fixed(sum / static_cast<double>(of.rows), digits);
  };
  out.push_back(std::to_string(of.rows) + " rows of " + std::to_string(of.completions) +
                " completions of " + std::to_string(of.prompts) + " prompts");
  say(of.blank, "completions without a character, left out");
  say(of.broken, "completions with bytes that are no UTF-8, left out");
  say(of.unfinished, "completions that did not end within the most tokens, left out");
  say(of.repeated, "completions that equal an earlier one of their prompt, left out");
  say(of.alone, "prompts with fewer than two completions left");
  say(of.tied, form == row_form::all_pairs ? "pairs that are ties, dropped"
                                           : "prompts whose completions are ties, dropped");
  say(of.unreadable, "rows that would not be read as they are meant, dropped");
  if (of.rows != 0) {
    std::string const first = form == row_form::list ? "first" : "chosen";
    std::string const last = form == row_form::list ? "last" : "rejected";
    out.push_back("mean score: " + first + " " + mean(of.score_best, 3) + ", " + last + " " +
                  mean(of.score_worst, 3));
    if (of.tokens_best + of.tokens_worst > 0) {
      out.push_back("mean tokens: " + first + " " + mean(of.tokens_best, 1) + ", " + last + " " +
                    mean(of.tokens_worst, 1));
    }
  }
  return out;
}

}  // namespace make_pairs
