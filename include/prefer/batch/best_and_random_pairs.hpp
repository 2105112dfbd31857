// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>

namespace prefer::inline v0_1 {

/// Distilled DPO: of the scored completions of each prompt, the best one is chosen and one of those with a lower
/// score, drawn at random, is rejected.
///
/// The draw is addressed by (seed, row), so other rows do not change it. Of several best, the first is chosen. Rows
/// whose scores are all equal prefer nothing and give no pair. Length and score go along with the completions,
/// weight and beta with the rows.
///
/// Errors  precondition_error for lists without scores, a score that is NaN, or columns that do not fit
/// Source  Tunstall et al. 2023, Zephyr, arXiv:2310.16944, section 3
template <std::same_as<choice_data> Data>  // a template, so that including it costs little
[[nodiscard]] Data best_and_random_pairs(Data const& scored, std::uint64_t seed) {
  scored.expects_shapes("best_and_random_pairs");
  expects_size(scored.score.size(), scored.completion.size(), "best_and_random_pairs", "score");
  expects(scored.label.empty() && scored.target_margin.empty() &&
              scored.chosen_from_reference.empty() && scored.kl_examples.empty(),
          "best_and_random_pairs: label, target_margin, chosen_from_reference and kl_examples have "
          "no meaning "
          "for lists that pairs are made of");
  Data out;
  std::vector<std::size_t> lower;
  for (std::size_t g = 0; g != scored.size(); ++g) {
    std::size_t best = scored.offset[g];
    for (std::size_t i = scored.offset[g]; i != scored.offset[g + 1]; ++i) {
      if (scored.score[i] != scored.score[i]) {
        detail::broken("best_and_random_pairs: a score of row " + std::to_string(g) + " is NaN");
      }
      if (scored.score[i] > scored.score[best]) best = i;
    }
    lower.clear();
    for (std::size_t i = scored.offset[g]; i != scored.offset[g + 1]; ++i) {
      if (scored.score[i] < scored.score[best]) lower.push_back(i);
    }
    if (lower.empty()) continue;
    random_stream numbers({.seed = seed, .purpose = random_purpose::data, .index = g});
    std::size_t const other = lower[static_cast<std::size_t>(below(numbers, lower.size()))];
    out.add_pair(scored.prompt[g], scored.completion[best], scored.completion[other]);
    for (std::size_t const i : {best, other}) {
      out.score.push_back(scored.score[i]);
      if (!scored.length.empty()) out.length.push_back(scored.length[i]);
    }
    if (!scored.weight.empty()) out.weight.push_back(scored.weight[g]);
    if (!scored.beta.empty()) out.beta.push_back(scored.beta[g]);
  }
  return out;
}

}  // namespace prefer::inline v0_1
