// SPDX-License-Identifier: MIT
#include "read.hpp"

#include <filesystem>
#include <optional>
#include <utility>

#include <prefer/data/audit_rows.hpp>
#include <prefer/data/preference.hpp>
#include <prefer/expects.hpp>
#if defined(PREFER_HAS_LM)
#include <prefer/lm/text/open_tokenizer.hpp>
#endif

#include "../program.hpp"

namespace audit {

namespace data = prefer::data;

class lengths {
 public:
  lengths() = default;
#if defined(PREFER_HAS_LM)
  explicit lengths(std::string const& model) : words_(prefer::lm::open_tokenizer(model)) {}
#endif

  [[nodiscard]] char const* unit() const {
    return in_tokens() ? "tokens" : data::in_characters::unit;
  }
  template <class Row>
  void add(data::audit& all, std::size_t split, Row const& row,
           std::string const& annotator) const {
#if defined(PREFER_HAS_LM)
    if (words_) return add_row(all, split, row, data::in_tokens(*words_), annotator);
#endif
    add_row(all, split, row, data::in_characters(), annotator);
  }

 private:
#if defined(PREFER_HAS_LM)
  [[nodiscard]] bool in_tokens() const { return words_.has_value(); }
  std::optional<prefer::lm::tokenizer> words_;
#else
  [[nodiscard]] static bool in_tokens() { return false; }
#endif
};

std::shared_ptr<lengths const> lengths_in_characters() { return std::make_shared<lengths>(); }

std::shared_ptr<lengths const> lengths_in_tokens_of([[maybe_unused]] std::string const& model) {
#if defined(PREFER_HAS_LM)
  return std::make_shared<lengths>(model);
#else
  prefer::refuse("--model: this build has no prefer::lm, which reads tokenizers");
#endif
}

std::string unit_of(lengths const& how) { return how.unit(); }

namespace {

/// What the field of the annotator says in a row; a name or a number, as JSON writes it.
std::string annotator_of(data::members const& fields, std::string const& name) {
  std::string const* const said = name.empty() ? nullptr : data::find_member(fields, name);
  return said == nullptr || *said == "null" ? "" : *said;
}

}  // namespace

std::vector<source> sources_of(std::vector<std::string> const& given) {
  std::vector<source> sources;
  for (std::string const& each : given) {
    auto const equals = each.find('=');
    bool const named = equals != std::string::npos && equals != 0 && !std::filesystem::exists(each);
    source one{named ? each.substr(0, equals) : std::filesystem::path(each).stem().string(),
               named ? each.substr(equals + 1) : each};
    for (source const& other : sources) {
      if (other.split != one.split) continue;
      prefer::refuse("--data: two files are called \"" + one.split +
                     "\"; expected names that differ, as in train=" + other.path +
                     " eval=" + one.path);
    }
    sources.push_back(std::move(one));
  }
  return sources;
}

data::reading_report read(source const& from, reading_choice const& choice, data::audit& all) {
  std::size_t const split = all.add_split(from.split);
  data::reading_report report;
  std::size_t with_annotator = 0;
  program::progress shown(0, from.split);
  auto const take = [&](auto&& rows) {
    for (auto const& row : rows) {
      std::string const annotator = annotator_of(row.further, choice.annotator);
      with_annotator += !annotator.empty();
      choice.measure->add(all, split, row, annotator);
      shown.advance(1, from.split);
    }
  };
  switch (choice.rows) {
    case row_kind::pair:
      take(data::pairs(from.path, choice.how, &report));
      break;
    case row_kind::label:
      take(data::unpaired(from.path, choice.how, &report));
      break;
    case row_kind::list:
      take(data::scored(from.path, choice.how, &report));
  }
  all.add_ties(split, report.tied.count);
  if (!choice.annotator.empty()) {
    if (with_annotator == 0 && report.examples != 0) {
      prefer::refuse(prefer::backend_error(
          "audit", from.path,
          "no row has the field \"" + choice.annotator + "\", which --annotator names"));
    }
    report.unused.erase(choice.annotator);
  }
  return report;
}

}  // namespace audit
