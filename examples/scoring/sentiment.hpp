// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace scoring {

/// What a text has of each sign.
struct sentiment {
  double pleasant = 0.0;
  double unpleasant = 0.0;

  /// score = pleasant - unpleasant: a difference of counts, so that three pleasant words are preferred to one. A share of them,
  /// (pleasant - unpleasant) / (pleasant + unpleasant), would call both 1, and most endings have one such word or two.
  [[nodiscard]] double score() const { return pleasant - unpleasant; }
};

/// How upbeat an English text is, by a list of words (words.cpp) and two rules that can be followed by hand:
///
///   each listed word counts 1 for its sign; with "very", "so", "truly" or the like before it 2, with "slightly" or the
///   like 1/2; and for the other sign if "not", "never", "without" or the like, or a word in n't, is among the three words before it.
///   Rules do not reach over the end of a sentence, a comma, or "but".
///
/// A judge that sees no further than words: "The wolf smiled" is upbeat to it, irony is not seen, and who wants a high score
/// can write "happy happy happy". It is here to show what training does to a judge that can be looked through.
[[nodiscard]] sentiment sentiment_of(std::string_view text);

}  // namespace scoring
