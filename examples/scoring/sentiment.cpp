// SPDX-License-Identifier: MIT
#include "sentiment.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "words.hpp"

namespace scoring {

namespace {

/// The words of a list, and the beginnings that a star stood behind; both sorted.
class word_list {
 public:
  explicit word_list(std::string_view text) {
    constexpr std::string_view space = " \n";
    for (std::size_t at = text.find_first_not_of(space); at != std::string_view::npos;) {
      std::size_t const end = std::min(text.find_first_of(space, at), text.size());
      std::string_view const word = text.substr(at, end - at);
      if (word.back() == '*') {
        beginnings_.push_back(word.substr(0, word.size() - 1));
      } else {
        words_.push_back(word);
      }
      at = text.find_first_not_of(space, end);
    }
    std::sort(words_.begin(), words_.end());
    std::sort(beginnings_.begin(), beginnings_.end());
  }

  [[nodiscard]] bool has(std::string_view word) const {
    if (std::binary_search(words_.begin(), words_.end(), word)) return true;
    for (std::size_t length = 1; length <= word.size(); ++length) {
      if (std::binary_search(beginnings_.begin(), beginnings_.end(), word.substr(0, length))) {
        return true;
      }
    }
    return false;
  }

 private:
  std::vector<std::string_view> words_;
  std::vector<std::string_view> beginnings_;
};

template <std::size_t N>
bool is_one_of(std::array<std::string_view, N> const& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool denies(std::string_view word) {
  static constexpr std::array<std::string_view, 13> words = {
      "not",    "no",     "never",   "nobody", "none",   "nothing", "without",
      "hardly", "barely", "neither", "nor",    "cannot", "nowhere"};
  return is_one_of(words, word) || word.ends_with("n't");
}

double factor_of(std::string_view word) {
  static constexpr std::array<std::string_view, 13> stronger = {
      "very",       "so",         "really",     "truly",   "deeply", "extremely", "completely",
      "incredibly", "absolutely", "especially", "utterly", "most",   "too"};
  static constexpr std::array<std::string_view, 5> weaker = {"slightly", "somewhat", "mildly",
                                                             "almost", "bit"};
  if (is_one_of(stronger, word)) return 2.0;
  if (is_one_of(weaker, word)) return 0.5;
  return 1.0;
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Counts word by word, and remembers the three words before.
class counter {
 public:
  void word(std::string_view word) {
    if (word == "but") return end_of_clause();
    static word_list const pleasant(pleasant_words);
    static word_list const unpleasant(unpleasant_words);
    bool const good = pleasant.has(word);
    if (good || unpleasant.has(word)) {
      double const weight = before_.empty() ? 1.0 : factor_of(before_.back());
      bool const denied = std::any_of(before_.begin(), before_.end(), denies);
      (good != denied ? found_.pleasant : found_.unpleasant) += weight;
    }
    if (before_.size() == reach) before_.erase(before_.begin());
    before_.emplace_back(word);
  }
  void end_of_clause() { before_.clear(); }
  [[nodiscard]] sentiment found() const { return found_; }

 private:
  static constexpr std::size_t reach = 3;
  std::vector<std::string> before_;
  sentiment found_;
};

}  // namespace

sentiment sentiment_of(std::string_view text) {
  constexpr std::string_view curly_apostrophe = "\xe2\x80\x99";
  counter count;
  std::string word;
  auto const finish = [&] {
    while (word.ends_with('\'')) word.pop_back();
    if (!word.empty()) count.word(word);
    word.clear();
  };
  for (std::size_t i = 0; i != text.size(); ++i) {
    char const c = text[i];
    bool const curly = text.substr(i).starts_with(curly_apostrophe);
    if (is_letter(c)) {
      word += lower(c);
    } else if ((c == '\'' || curly) && !word.empty()) {
      word += '\'';
      if (curly) i += curly_apostrophe.size() - 1;
    } else {
      finish();
      if (std::string_view(".,;:!?\n").find(c) != std::string_view::npos) count.end_of_clause();
    }
  }
  finish();
  return count.found();
}

}  // namespace scoring
