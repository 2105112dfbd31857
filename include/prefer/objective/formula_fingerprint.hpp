// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include <prefer/batch/columns.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/objective/evaluate.hpp>

namespace prefer {

/// What a loss computes: its values on a few fixed examples. Tells apart losses without a name, and
/// lambdas with other constants. As float, so that the last bits of a C library do not count.
template <Loss L>
[[nodiscard]] std::uint64_t fingerprint_of_formula(L const& loss) {
  constexpr double policy[] = {-1.5, -3.25, -7.0, -2.0, -4.5, -0.5, -6.25, -5.0};
  constexpr double reference[] = {-2.0, -3.0, -5.5, -2.75, -4.0, -1.25, -6.5, -3.5};
  constexpr double length[] = {2, 3, 5, 1, 4, 2, 7, 6};
  constexpr double label[] = {1, 0, 0, 1, 1, 0, 1, 0};
  constexpr double score[] = {0.75, 0.9, 0.5, 1.0, 0.25, 0.1, 0.4, 0.3};
  constexpr double small[] = {-0.25, -0.5, 0.125, -1.0, -0.75, 0.0625, -0.375, -0.625};
  double value[8] = {};
  std::size_t count = 0;
  if constexpr (L::arity == 1) {
    count = 8;
    unpaired_columns const examples{.policy = policy,
                                    .reference = reference,
                                    .label = label,
                                    .length = length,
                                    .score = score,
                                    .value_estimate = small};
    evaluate_into(loss, examples, {.value = value}, loss_state<L>{});
  } else if constexpr (L::arity == 2) {
    count = 4;
    auto const halves = [](auto const& numbers) {
      return completions{.chosen = std::span(numbers).template first<4>(),
                         .rejected = std::span(numbers).template last<4>()};
    };
    evaluate_into(loss,
                  pair_columns{.policy = halves(policy),
                               .reference = halves(reference),
                               .length = halves(length),
                               .score = halves(score),
                               .divergence = halves(small),
                               .alignment = halves(small),
                               .perturbed_toward = halves(policy),
                               .perturbed_away = halves(reference),
                               .chosen_from_reference = std::span(label).template first<4>(),
                               .uniform = std::span(score).template last<4>()},
                  {.value = std::span(value).first(count)}, loss_state<L>{});
  } else {
    count = 2;
    // Lists of three and five; of what the loss takes where it takes no other size.
    constexpr std::size_t size = list_size_of<L>();
    constexpr std::size_t offset[] = {0, size == 0 ? 3 : size, size == 0 ? 8 : 2 * size};
    auto const all = [&](auto const& numbers) { return std::span(numbers).first(offset[2]); };
    list_columns const lists{.policy = all(policy),
                             .reference = all(reference),
                             .length = all(length),
                             .score = all(score),
                             .offset = offset};
    evaluate_into(loss, lists, {.value = std::span(value).first(count)}, loss_state<L>{});
  }
  fingerprint identity;
  for (std::size_t i = 0; i < count; ++i) {
    identity.add(std::isnan(value[i]) ? std::numeric_limits<float>::quiet_NaN()
                                      : static_cast<float>(value[i]));
  }
  return identity.value();
}

}  // namespace prefer
