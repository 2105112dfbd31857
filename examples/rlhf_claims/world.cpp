// SPDX-License-Identifier: MIT
#include "world.hpp"

#include "learn.hpp"

namespace rlhf_claims {

sequence_world::sequence_world(std::uint64_t seed)
    : table_(prefer::token_table::all_of_length(vocabulary, length)),
      logits_(draw_normal(vocabulary * vocabulary, seed, drawn::start, 1.0)) {
  problem_.start = learner(policy(), table_.size()).log_prob();
  problem_.reward = draw_normal(table_.size(), seed, drawn::reward, 1.0);
}

prefer::bigram<double> sequence_world::policy() const {
  return prefer::bigram<double>(vocabulary, table_, logits_);
}

}  // namespace rlhf_claims
