// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include <prefer/batch/token_table.hpp>
#include <prefer/model/bigram.hpp>

#include "listed.hpp"

namespace rlhf_claims {

/// Sequences of 3 tokens out of 5, and a policy that remembers one token: 125 completions that share 25 logits, so that what
/// a pair teaches moves other completions, and the best policy of all is out of reach.
///
///   start    logits N(0, 1) per transition
///   reward   N(0, 1) per sequence
class sequence_world {
 public:
  static constexpr std::size_t vocabulary = 5;
  static constexpr std::size_t length = 3;

  explicit sequence_world(std::uint64_t seed);
  sequence_world(sequence_world const&) = delete;  // policies point to its table

  [[nodiscard]] listed_problem const& problem() const { return problem_; }
  [[nodiscard]] std::size_t completions() const { return problem_.start.size(); }
  [[nodiscard]] numbers const& logits() const { return logits_; }  ///< of the start
  /// The policy at the start.
  [[nodiscard]] prefer::bigram<double> policy() const;

 private:
  prefer::token_table table_;
  numbers logits_;
  listed_problem problem_;
};

}  // namespace rlhf_claims
