// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/lm/text/normal_form_table.hpp>
#include <prefer/text/utf8.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

/// Syllables of Hangul are computed, not looked up: a first consonant, a vowel and perhaps a last consonant.
///
/// Source  The Unicode Standard, section 3.12, "Conjoining Jamo Behavior"
namespace hangul {

inline constexpr char32_t syllable = 0xAC00, lead = 0x1100, vowel = 0x1161;
inline constexpr char32_t tail = 0x11A7;  // one before the first: 0 stands for none
inline constexpr char32_t leads = 19, vowels = 21, tails = 28;

[[nodiscard]] constexpr bool in(char32_t c, char32_t first, char32_t count) noexcept {
  return c >= first && c < first + count;
}
[[nodiscard]] constexpr bool is_syllable(char32_t c) noexcept {
  return in(c, syllable, leads * vowels * tails);
}
/// True for what can be put together with the character before it.
[[nodiscard]] constexpr bool continues(char32_t c) noexcept {
  return in(c, vowel, vowels) || in(c, tail + 1, tails - 1);
}
/// What a pair is put together to, or 0.
[[nodiscard]] constexpr char32_t composed(char32_t first, char32_t second) noexcept {
  if (in(first, lead, leads) && in(second, vowel, vowels)) {
    return syllable + ((first - lead) * vowels + (second - vowel)) * tails;
  }
  bool const open = is_syllable(first) && (first - syllable) % tails == 0;
  return open && in(second, tail + 1, tails - 1) ? first + (second - tail) : 0;
}

}  // namespace hangul

/// The table of characters in the order in which it is asked.
class normal_forms {
 public:
  /// Made once, when the first text asks.
  static normal_forms const& known() {
    static normal_forms const all;
    return all;
  }

  /// 0 for a letter and whatever else no mark moves over.
  [[nodiscard]] unsigned combining_class(char32_t c) const {
    if (!is_looked_up(c)) return 0;
    auto const at =
        std::upper_bound(std::begin(combining_classes), std::end(combining_classes), c,
                         [](char32_t x, mark_range const& each) { return x < each.first; });
    if (at == std::begin(combining_classes) || std::prev(at)->last < c) return 0;
    return std::prev(at)->combining_class;
  }
  /// True where `c`, behind a text in the form, may be of another text in the form: it decomposes for good, or goes
  /// together with what is before it.
  [[nodiscard]] bool may_change(char32_t c) const {
    return hangul::continues(c) ||
           (is_looked_up(c) && std::binary_search(changing_.begin(), changing_.end(), c));
  }
  /// Appends what a character decomposes into, or itself.
  void decompose(char32_t c, std::vector<char32_t>& into) const {
    if (hangul::is_syllable(c)) {
      char32_t const index = c - hangul::syllable;
      into.push_back(hangul::lead + index / (hangul::vowels * hangul::tails));
      into.push_back(hangul::vowel + index / hangul::tails % hangul::vowels);
      if (index % hangul::tails != 0) into.push_back(hangul::tail + index % hangul::tails);
      return;
    }
    auto const at =
        std::lower_bound(parts_.begin(), parts_.end(), c,
                         [](decomposition const& each, char32_t x) { return each.of < x; });
    if (at == parts_.end() || at->of != c) {
      into.push_back(c);
      return;
    }
    decompose(at->first, into);
    if (at->second != 0) decompose(at->second, into);
  }
  /// What a pair is put together to, or 0.
  [[nodiscard]] char32_t composed(char32_t first, char32_t second) const {
    if (char32_t const syllable = hangul::composed(first, second)) return syllable;
    std::pair const key(first, second);
    auto const at =
        std::lower_bound(composites_.begin(), composites_.end(), key,
                         [](composition const& each, auto const& x) { return each.pair < x; });
    return at != composites_.end() && at->pair == key ? at->is : 0;
  }

 private:
  struct decomposition {
    char32_t of, first, second;  // second: 0 where there is one character alone
  };
  struct composition {
    std::pair<char32_t, char32_t> pair;
    char32_t is;
  };
  static constexpr char32_t block = 64;

  normal_forms() {
    auto const each_of = [](auto const& runs, auto const& visit) {
      for (character_run const& run : runs) {
        for (char32_t i = 0; i < run.count; ++i) visit(run.first + i);
      }
    };
    auto const* one = std::begin(singleton_is);
    each_of(singletons, [&](char32_t c) {
      parts_.push_back({c, *one++, 0});
      changing_.push_back(c);
    });
    std::vector<char32_t> apart;
    each_of(never_composed, [&](char32_t c) { apart.push_back(c); });
    auto const* two = std::begin(composite_of);
    each_of(detail::composites, [&](char32_t c) {
      char32_t const first = *two++, second = *two++;
      parts_.push_back({c, first, second});
      if (std::binary_search(apart.begin(), apart.end(), c)) {
        changing_.push_back(c);
      } else {
        composites_.push_back({{first, second}, c});
        changing_.push_back(second);
      }
    });
    std::sort(parts_.begin(), parts_.end(),
              [](auto const& a, auto const& b) { return a.of < b.of; });
    std::sort(composites_.begin(), composites_.end(),
              [](auto const& a, auto const& b) { return a.pair < b.pair; });
    std::sort(changing_.begin(), changing_.end());
    for (char32_t const c : changing_) looked_up_.set(c / block);
    for (mark_range const& each : combining_classes) {
      for (char32_t c = each.first; c <= each.last; ++c) looked_up_.set(c / block);
    }
  }
  [[nodiscard]] bool is_looked_up(char32_t c) const { return looked_up_[c / block]; }

  std::vector<decomposition> parts_;     // by `of`
  std::vector<composition> composites_;  // by `pair`
  std::vector<char32_t> changing_;       // in order; a character may be there twice
  std::bitset<0x110000 / block>
      looked_up_;  // blocks of characters of which one is a mark or in `changing_`
};

/// Sorts marks that follow one another by their classes; marks of one class stay in their order.
inline void sort_marks(std::vector<char32_t>& text, normal_forms const& forms) {
  std::vector<std::pair<unsigned, char32_t>> run;
  for (std::size_t at = 0; at <= text.size(); ++at) {
    unsigned const here = at < text.size() ? forms.combining_class(text[at]) : 0;
    if (here != 0) {
      run.emplace_back(here, text[at]);
      continue;
    }
    std::stable_sort(run.begin(), run.end(),
                     [](auto const& a, auto const& b) { return a.first < b.first; });
    for (std::size_t i = 0; i < run.size(); ++i) text[at - run.size() + i] = run[i].second;
    run.clear();
  }
}

/// Puts together what belongs together: a letter with each mark behind it that no other mark of its class, and no letter,
/// stands before.
inline void compose(std::vector<char32_t>& text, normal_forms const& forms) {
  constexpr std::size_t none = SIZE_MAX;
  std::size_t letter = none, kept = 0;
  int before = -1;  // class of what is kept behind the letter; -1: nothing is
  for (char32_t const c : text) {
    int const here = static_cast<int>(forms.combining_class(c));
    if (letter != none && before < here) {
      if (char32_t const both = forms.composed(text[letter], c)) {
        text[letter] = both;
        continue;
      }
    }
    if (here == 0) letter = kept;
    before = here == 0 ? -1 : here;
    text[kept++] = c;
  }
  text.resize(kept);
}

}  // namespace detail

/// True where a UTF-8 text is in Unicode's normal form C for certain; false where it must be looked at. Texts of ASCII
/// and Latin letters, and most others, are told by their bytes or by one look at each character.
///
/// Source  Unicode Standard Annex 15, section 9, "Detecting Normalization Forms"
[[nodiscard]] inline bool surely_in_normal_form_c(std::string_view text) {
  // Below U+0300, which is CC 80, nothing decomposes for good, moves or goes together with what is before it.
  constexpr unsigned char first_lead = 0xCC;
  auto const may_matter = [](char byte) { return static_cast<unsigned char>(byte) >= first_lead; };
  auto const from = std::find_if(text.begin(), text.end(), may_matter);
  if (from == text.end()) return true;
  auto const& forms = detail::normal_forms::known();
  unsigned before = 0;
  for (auto at = static_cast<std::size_t>(from - text.begin()); at < text.size();) {
    auto const c = text::decode(text, at);
    at += c.bytes;
    unsigned const here = forms.combining_class(c.value);
    if (forms.may_change(c.value) || (here != 0 && here < before)) return false;
    before = here;
  }
  return true;
}

/// A UTF-8 text in Unicode's normal form C: letters and marks are put together where there is one character for them,
/// and marks stand in the order of their classes. What looks the same is then the same text: "e" and U+0301 become U+00E9.
///
/// Characters are those of Unicode 9, as in the library of tokenizers that language models were trained with: marks that
/// were added since stay where they are.
///
/// Source  The Unicode Standard, section 3.11, definitions D108 to D117; Unicode Standard Annex 15
[[nodiscard]] inline std::string normal_form_c(std::string_view text) {
  auto const& forms = detail::normal_forms::known();
  std::vector<char32_t> characters;
  characters.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    auto const c = text::decode(text, at);
    forms.decompose(c.value, characters);
    at += c.bytes;
  }
  detail::sort_marks(characters, forms);
  detail::compose(characters, forms);
  std::string out;
  out.reserve(text.size());
  for (char32_t const c : characters) text::append_utf8(c, out);
  return out;
}

}  // namespace prefer::inline v0_1::lm
