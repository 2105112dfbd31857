// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/data/bad_rows.hpp>
#include <prefer/data/form.hpp>
#include <prefer/data/forms.hpp>
#include <prefer/data/json_lines.hpp>
#include <prefer/data/json_row.hpp>
#include <prefer/data/place.hpp>
#include <prefer/data/prompt.hpp>
#include <prefer/data/reading.hpp>

namespace prefer::inline v0_1::data {

/// A row as its form read it, with the prompt apart, and the numbers that every form may have.
struct read_row {
  row_content content;
  std::optional<double> weight;
  std::optional<double> beta;
  std::optional<double> score_chosen;
  std::optional<double> score_rejected;
  members context = {};
  members further = {};
  std::size_t line = 0;
};

namespace detail {

/// Names of a judge's scores for the two sides, the library's own first.
inline constexpr std::array<std::array<std::string_view, 2>, 7> score_names = {
    {{"score_chosen", "score_rejected"},
     {"chosen_score", "rejected_score"},
     {"rating_chosen", "rating_rejected"},
     {"chosen_rating", "rejected_rating"},
     {"chosen-rating", "rejected-rating"},
     {"chosen_avg_rating", "rejected_avg_rating"},
     {"chosen_model_score", "rejected_model_score"}}};

/// What a chat template is given beside the messages.
inline constexpr std::array<std::string_view, 3> context_names = {"tools", "documents",
                                                                  "chat_template_kwargs"};

template <class List>
bool among(List const& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

inline std::optional<double> weight_in(json_row const& row) {
  auto const weight = optional_number(row, "weight");
  if (weight && *weight < 0)
    refuse_field(row, "weight", "found a negative number; expected one >= 0");
  return weight;
}
inline std::optional<double> beta_in(json_row const& row) {
  auto const beta = optional_number(row, "beta");
  if (beta && !(*beta > 0)) refuse_field(row, "beta", "found a number <= 0; expected one > 0");
  return beta;
}

}  // namespace detail

/// Reads rows of any form, one at a time, and keeps account of them.
class example_reader {
 public:
  /// `report` outlives the reader.
  example_reader(json_row_reader rows, reading how, bool labelled, reading_report& report)
      : rows_(std::move(rows)), how_(std::move(how)), labelled_(labelled), report_(&report) {
    renamed_.resize(how_.columns.size());
    if (!how_.form.empty()) given_ = &form_named(how_.form, labelled);
    expects(how_.most_bad >= 0 && how_.most_bad <= 1,
            "data::reading: most_bad is a share, from 0 to 1");
  }

  [[nodiscard]] reading const& how() const noexcept { return how_; }
  [[nodiscard]] json_row const& row() const noexcept { return row_; }
  /// What is counted of the row at hand, as long as it is not refused.
  [[nodiscard]] reading_report& of_row() noexcept { return row_report_; }
  /// Of all rows.
  [[nodiscard]] reading_report& report() noexcept { return *report_; }

  /// Goes on to the next row that can be read; `use` makes examples of it, and may refuse it. False at the end.
  template <class Use>
  bool next(Use const& use) {
    for (;;) {
      bool more = false;
      bool good = true;
      row_report_ = {};
      auto const row = [&] {
        more = rows_.next(row_);
        if (more) use(read());
      };
      if (how_.bad == bad_rows::refused) {
        row();
      } else {
        good = attempt(row, [&](backend_error const& error) {
          more = true;
          count_bad_row(error, rows_.at(), report_->bad);
        });
      }
      if (!more) return finish(), false;
      ++report_->rows;
      if (!good) continue;
      mapping_->add(row_.at.line);
      report_->add(row_report_);
      return true;
    }
  }

 private:
  read_row read() {
    rename();
    form const& is = given_ != nullptr ? *given_ : detected();
    if (&is != last_) {
      last_ = &is;
      expected_ = detail::fields_of(is);
      mapping_ = &report_->forms[std::string(is.name) + ": " + std::string(is.says)];
      known_.assign(is.needs.begin(), is.needs.end());
      known_.insert(known_.end(), is.takes.begin(), is.takes.end());
      known_.insert(known_.end(), {"weight", "beta"});
      if (!labelled_) known_.insert(known_.end(), {"score_chosen", "score_rejected"});
    }
    read_row out;
    out.content = is.read(form_row(row_, how_, row_report_, expected_));
    refuse_misspelt(row_, known_);
    check(out.content);
    out.weight = detail::weight_in(row_);
    out.beta = detail::beta_in(row_);
    out.line = row_.at.line;
    std::array<std::string_view, 2> scores = {"", ""};
    if (!labelled_) scores = read_scores(out);
    for (auto const& [name, value] : row_.fields.items()) keep(name, value, scores, out);
    for (member& each : out.content.kept) {
      (detail::among(detail::context_names, each.name) ? out.context : out.further)
          .push_back(std::move(each));
    }
    if (out.weight) row_report_.weights.add(out.line);
    if (out.beta) row_report_.betas.add(out.line);
    if (out.score_chosen || out.score_rejected) row_report_.scores.add(out.line);
    return out;
  }

  /// Completions differ and are not empty, before and behind the prompt.
  void check(row_content& content) {
    differ_and_say_something(content);
    prompt_finder(row_, how_, row_report_).settle(content);
    differ_and_say_something(content);
  }
  void differ_and_say_something(row_content const& content) const {
    if (content.completions.empty()) {
      row_.at.refuse("the list of completions is empty; expected completions of one prompt");
    }
    bool const two = content.completions.size() == 2;
    if (two && content.completions[0] == content.completions[1]) {
      row_.at.refuse(in_quotes(content.fields[0]) + " and " + in_quotes(content.fields[1]) +
                     " are equal; expected a preference");
    }
    for (std::size_t i = 0; i < content.completions.size(); ++i) {
      if (!content.completions[i].blank()) continue;
      refuse_field(row_, content.fields[i], "the completion is empty");
    }
  }

  std::array<std::string_view, 2> read_scores(read_row& out) const {
    for (auto const& names : detail::score_names) {
      json const* const chosen = find_field(row_, names[0]);
      json const* const rejected = find_field(row_, names[1]);
      bool const own = names == detail::score_names.front();
      auto const is_number = [](json const* value) {
        return value != nullptr && value->is_number();
      };
      if (!own && (!is_number(chosen) || !is_number(rejected))) continue;
      if (chosen == nullptr && rejected == nullptr) continue;
      out.score_chosen = optional_number(row_, names[0]);
      out.score_rejected = optional_number(row_, names[1]);
      return names;
    }
    return {"", ""};
  }

  void keep(std::string const& name, json const& value,
            std::array<std::string_view, 2> const& scores, read_row& out) {
    if (detail::among(known_, name) || detail::among(scores, name)) return;
    if (detail::among(detail::context_names, name)) {
      if (!value.is_null()) out.context.push_back({name, value.dump()});
      return;
    }
    out.further.push_back({name, value.dump()});
    if (!value.is_null()) row_report_.unused[name].add(out.line);
  }

  form const& detected() {
    // Rows of a file mostly have the same fields, and a form that looks further than at fields is looked up each time.
    std::string fields;
    for (auto const& [name, value] : row_.fields.items()) {
      if (!value.is_null()) fields += name + '\n';
    }
    bool const by_fields = last_ != nullptr && last_->fits == nullptr &&
                           (last_->name != "trl" || find_field(row_, "prompt") != nullptr);
    if (!by_fields || fields != last_fields_) {
      last_fields_ = std::move(fields);
      return form_of(row_, labelled_);
    }
    return *last_;
  }

  void rename() {
    if (how_.columns.empty()) return;
    for (std::size_t i = 0; i < how_.columns.size(); ++i) {
      std::string const& as = how_.columns[i].as;
      std::string const& in_file = how_.columns[i].in_file;
      if (!row_.fields.contains(in_file)) continue;
      renamed_[i] = true;
      bool const moves_away =
          std::any_of(how_.columns.begin(), how_.columns.end(),
                      [&](renamed_column const& each) { return each.in_file == as; });
      if (as != in_file && row_.fields.contains(as) && !moves_away) {
        row_.at.refuse("there are both " + in_quotes(as) + " and " + in_quotes(in_file) +
                       ", which is to be read as " + in_quotes(as) + "; expected one of them");
      }
    }
    json renamed = json::object();
    auto& to = renamed.get_ref<json::object_t&>();
    for (auto& each_field : row_.fields.get_ref<json::object_t&>()) {
      auto const found = std::find_if(
          how_.columns.begin(), how_.columns.end(),
          [&](renamed_column const& each) { return each.in_file == each_field.first; });
      to.emplace_back(found == how_.columns.end() ? each_field.first : found->as,
                      std::move(each_field.second));
    }
    row_.fields = std::move(renamed);
  }

  void finish() const {
    for (std::size_t i = 0; i < renamed_.size(); ++i) {
      if (renamed_[i]) continue;
      place{rows_.at().reader, rows_.at().source, 0}.refuse(
          "no row has a field " + in_quotes(how_.columns[i].in_file) + ", which is to be read as " +
          in_quotes(how_.columns[i].as));
    }
    expect_few_bad_rows(report_->bad, report_->rows, how_.most_bad, rows_.at());
  }

  json_row_reader rows_;
  reading how_;
  bool labelled_;
  reading_report* report_;
  reading_report row_report_;
  json_row row_;
  form const* given_ = nullptr;
  form const* last_ = nullptr;
  std::string last_fields_;
  std::string expected_;
  happened* mapping_ = nullptr;
  std::vector<std::string_view> known_;
  std::vector<bool> renamed_;
};

}  // namespace prefer::inline v0_1::data
